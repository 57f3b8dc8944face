import { useState } from "preact/hooks";
import type { ItemView } from "../../../../engine/index.ts";
import type { Run } from "../../../client/types.ts";
import { useAsked } from "../ask.ts";
import { fullTime, pretty } from "../format.ts";
import { Json, RunLink, Table, Took } from "../ui/parts.tsx";
import { Problem } from "../ui/problem.tsx";
import { Status } from "../ui/status.tsx";
import { FailedWith } from "./error.tsx";

const PAGE = 25;
const AGAIN_MS = 2_000;

/** All that is known of one step of a run. */
export function StepDetails({ run, name, now }: { run: Run; name: string; now: number }) {
  const step = run.steps[name]!;
  const { status, attempt, message, startedAt, endedAt, waitingFor, error, output, usage, undo, items } = step;
  return (
    <div class="details">
      <h3>
        {name} <Status of={status} />
      </h3>
      <dl class="facts">
        <div>
          <dt>Attempts</dt>
          <dd>{attempt}</dd>
        </div>
        {startedAt === undefined ? null : (
          <div>
            <dt>Began</dt>
            <dd>{fullTime(startedAt)}</dd>
          </div>
        )}
        {startedAt === undefined ? null : (
          <div>
            <dt>{endedAt === undefined ? "For" : "Took"}</dt>
            <dd>
              <Took from={startedAt} to={endedAt} now={now} />
            </dd>
          </div>
        )}
        {message === undefined ? null : (
          <div>
            <dt>Says</dt>
            <dd>{message}</dd>
          </div>
        )}
        {waitingFor === undefined ? null : (
          <div>
            <dt>Waits for</dt>
            <dd>
              {waitingFor.reason.replace("_", " ")}
              {waitingFor.key === undefined ? null : ` of ${waitingFor.key}`}
              {waitingFor.until === undefined ? null : `, until ${fullTime(waitingFor.until)}`}{" "}
              {waitingFor.run === undefined ? null : <RunLink id={waitingFor.run} />}
            </dd>
          </div>
        )}
        {usage === undefined ? null : (
          <div>
            <dt>Used</dt>
            <dd>
              {usage.tokens.toLocaleString()} tokens{usage.cost > 0 ? `, cost ${usage.cost}` : ""}
            </dd>
          </div>
        )}
        {undo === undefined ? null : (
          <div>
            <dt>Undo</dt>
            <dd>
              <Status of={undo.status} />
            </dd>
          </div>
        )}
      </dl>
      {error === undefined ? null : <FailedWith error={error} />}
      <Json label="Output" value={output} open />
      {items === undefined ? null : <Items run={run} name={name} />}
    </div>
  );
}

/** A page of a map's items, or of a loop's turns. */
function Items({ run, name }: { run: Run; name: string }) {
  const [cursors, setCursors] = useState<readonly string[]>([]);
  const search = new URLSearchParams({ limit: String(PAGE) });
  const cursor = cursors.at(-1);
  if (cursor !== undefined) search.set("cursor", cursor);
  const path = `/v1/runs/${run.id}/steps/${encodeURIComponent(name)}/items?${search}`;
  const { data, error } = useAsked<{ data: ItemView[]; next?: string }>(
    path,
    run.endedAt === undefined ? AGAIN_MS : undefined,
  );
  return (
    <>
      <h4>Items</h4>
      <Problem error={error} what="The items cannot be shown" />
      <Table label={`Items of ${name}`} columns={["Item", "Status", "Attempts", "Came to"]}>
        {data?.data.map(({ item, status, attempt, output, error: failure }) => (
          <tr key={item}>
            <th scope="row">{item}</th>
            <td>
              <Status of={status} />
            </td>
            <td class="number">{attempt ?? "–"}</td>
            <td class="long">
              {failure === undefined ? <code>{pretty(output).slice(0, 300)}</code> : failure.message}
            </td>
          </tr>
        ))}
      </Table>
      <div class="buttons">
        <button
          type="button"
          class="small"
          disabled={cursors.length === 0}
          onClick={() => setCursors(cursors.slice(0, -1))}
        >
          ← Earlier
        </button>
        <button
          type="button"
          class="small"
          disabled={data?.next === undefined}
          onClick={() => setCursors([...cursors, data!.next!])}
        >
          Later →
        </button>
      </div>
    </>
  );
}
