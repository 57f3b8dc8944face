import { useMemo } from "preact/hooks";
import type { QueueView, WorkerView } from "../../../../engine/index.ts";
import { send, useAsked } from "../ask.ts";
import { Chart } from "../charts/chart.tsx";
import { type Sample, useHistory } from "../charts/history.ts";
import { duration, whole } from "../format.ts";
import { hrefOf, replace, route } from "../router.ts";
import { Confirm } from "../ui/dialog.tsx";
import { Empty, Head, Loading, Table } from "../ui/parts.tsx";
import { Problem } from "../ui/problem.tsx";
import { Status } from "../ui/status.tsx";

const EVERY_MS = 2_000;
const COLUMNS = ["Step", "Waiting", "At work", "Delayed", "Limited", "Dead", "Oldest", "Workers", "State", "Do"];

/** Where work waits, and who does it. */
export function Queues() {
  const { data, error, again } = useAsked<{ data: QueueView[] }>("/v1/queues", EVERY_MS);
  const workers = useAsked<{ data: WorkerView[] }>("/v1/workers", EVERY_MS);
  const alive = workers.data?.data.filter((each) => each.alive).length ?? 0;
  const isKnown = workers.data !== undefined || workers.error !== undefined;
  const samples = useHistory(isKnown ? data?.data : undefined, alive);
  const workflow = route.value.query.get("workflow") ?? "";
  const names = [...new Set(data?.data.map((queue) => queue.workflow) ?? [])].sort();
  const shown = data?.data.filter((queue) => workflow === "" || queue.workflow === workflow) ?? [];
  return (
    <>
      <Head title="Queues" lead="Where work waits, of all tenants together, and who does it.">
        <label class="inline">
          Workflow{" "}
          <select
            value={workflow}
            onChange={(event) => replace(hrefOf("queues", undefined, { workflow: event.currentTarget.value }))}
          >
            <option value="">all</option>
            {names.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
      </Head>
      <Problem error={error} what="The queues cannot be shown" again={again} />
      {data === undefined ? error === undefined ? <Loading /> : null : <Charts samples={samples} workflow={workflow} />}
      {workers.data !== undefined && alive === 0 ? (
        <div class="notice">
          <p>
            No worker is alive: nothing is worked on. Start one with <code>millrace worker</code>.
          </p>
        </div>
      ) : null}
      {data !== undefined && shown.length === 0 ? <Empty title="There are no steps here." /> : null}
      {shown.length === 0 ? null : (
        <Table label="Steps" columns={COLUMNS}>
          {shown.map((queue) => (
            <Row key={`${queue.workflow} ${queue.version} ${queue.step}`} queue={queue} again={again} />
          ))}
        </Table>
      )}
      <Workers workers={workers.data?.data} error={workers.error} />
    </>
  );
}

function Row({ queue, again }: { queue: QueueView; again(): void }) {
  const { workflow, version, step, depth, inFlight, delayed, limited, dead, oldestAgeMs, workers, paused } = queue;
  const verb = paused ? "resume" : "pause";
  const isStuck = depth > 0 && workers === 0;
  return (
    <tr>
      <th scope="row">
        {step}
        <br />
        <span class="dim">
          {workflow} v{version}
        </span>
      </th>
      <td class="number">{whole(depth)}</td>
      <td class="number">{whole(inFlight)}</td>
      <td class="number">{whole(delayed)}</td>
      <td class="number">{whole(limited)}</td>
      <td class="number">
        {dead === 0 ? 0 : <a href={hrefOf("dead-letters", undefined, { workflow, step })}>{whole(dead)}</a>}
      </td>
      <td class="number">{oldestAgeMs === 0 ? "–" : duration(oldestAgeMs)}</td>
      <td class="number">{workers}</td>
      <td>
        {paused ? (
          <Status of="paused" />
        ) : isStuck ? (
          <Status of="failed" note="no worker serves it" />
        ) : (
          <Status of="active" />
        )}
      </td>
      <td>
        <Confirm
          needs="admin"
          small
          label={paused ? "Resume" : "Pause"}
          title={paused ? `Let ${step} go on?` : `Pause ${step}?`}
          verb={paused ? "Resume" : "Pause"}
          onDo={async () => {
            await send(
              "POST",
              `/v1/workflows/${encodeURIComponent(workflow)}/steps/${encodeURIComponent(step)}/${verb}`,
            );
            again();
          }}
        >
          <p>
            {paused
              ? "Workers take what waits at it again."
              : "No more attempts of it start, in any version. What is at work goes on to its end, and what waits stays."}
          </p>
        </Confirm>
      </td>
    </tr>
  );
}

const DEPTH = [
  { name: "waiting", colour: "--violet" },
  { name: "at work", colour: "--blue" },
  { name: "delayed or limited", colour: "--amber" },
];
const RATES = [
  { name: "steps completed", colour: "--green" },
  { name: "attempts failed", colour: "--red" },
  { name: "runs accepted here", colour: "--blue" },
];
const OLDEST = [{ name: "oldest", colour: "--amber" }];
const WORKERS = [{ name: "alive", colour: "--accent" }];

function Charts({ samples, workflow }: { samples: readonly Sample[]; workflow: string }) {
  const { depth, oldest, rates, workers } = useMemo(() => figures(samples, workflow), [samples, workflow]);
  return (
    <div class="charts">
      <Chart title="Entries" series={DEPTH} data={depth} format={whole} isWhole />
      <Chart title="Age of the oldest" series={OLDEST} data={oldest} format={(value) => duration(value * 1_000)} />
      <Chart title="Per second" series={RATES} data={rates} format={(value) => value.toFixed(value < 10 ? 1 : 0)} />
      <Chart title="Workers" series={WORKERS} data={workers} format={whole} isWhole />
    </div>
  );
}

function figures(samples: readonly Sample[], workflow: string) {
  const at = samples.map((sample) => sample.at);
  const of = (pick: (queue: QueueView) => number) =>
    samples.map(({ queues }) =>
      queues.reduce((sum, queue) => (workflow === "" || queue.workflow === workflow ? sum + pick(queue) : sum), 0),
    );
  const oldest = samples.map(({ queues }) =>
    Math.max(
      0,
      ...queues
        .filter((queue) => workflow === "" || queue.workflow === workflow)
        .map(({ oldestAgeMs }) => oldestAgeMs / 1_000),
    ),
  );
  return {
    depth: [
      at,
      of(({ depth }) => depth),
      of(({ inFlight }) => inFlight),
      of(({ delayed, limited }) => delayed + limited),
    ],
    oldest: [at, oldest],
    rates: [
      at,
      samples.map(({ completed }) => completed),
      samples.map(({ failed }) => failed),
      samples.map(({ admitted }) => admitted),
    ],
    workers: [at, samples.map((sample) => sample.workers)],
  };
}

function Workers({ workers, error }: { workers: readonly WorkerView[] | undefined; error: unknown }) {
  if (error !== undefined) return <Problem error={error} what="The workers cannot be shown" />;
  if (workers === undefined || workers.length === 0) return null;
  return (
    <>
      <h2 class="below">Workers and consumers</h2>
      <Table label="Workers and consumers" columns={["Id", "State", "Heard of", "Last read", "Read errors"]}>
        {workers.map(({ id, alive, seenAgoMs, silentMs, readerErrors }) => (
          <tr key={id}>
            <th scope="row" class="mono">
              {id}
            </th>
            <td>
              <Status of={alive ? "active" : "failed"} note={alive ? undefined : "silent"} />
            </td>
            <td class="number">{duration(seenAgoMs)} ago</td>
            <td class="number">{duration(silentMs)} ago</td>
            <td class="number">
              {Object.entries(readerErrors)
                .map(([name, count]) => `${name} ${count}`)
                .join(", ") || "none"}
            </td>
          </tr>
        ))}
      </Table>
    </>
  );
}
