import { useState } from "preact/hooks";
import type { ScheduleSummary } from "../../../../engine/index.ts";
import { send, useAsked } from "../ask.ts";
import { duration, fullTime } from "../format.ts";
import { go, hrefOf } from "../router.ts";
import { ScheduleForm } from "../schedules/form.tsx";
import { may } from "../session.ts";
import { Confirm } from "../ui/dialog.tsx";
import { Pager, pathOf, usePages } from "../ui/pager.tsx";
import { Empty, Head, Loading, RunLink, Table, Time, useNow } from "../ui/parts.tsx";
import { Problem } from "../ui/problem.tsx";
import { Status } from "../ui/status.tsx";

const PAGE = "50";
const AGAIN_MS = 5_000;

/** Runs that start by the clock. */
export function Schedules() {
  const pages = usePages();
  const path = pathOf("/v1/schedules", { limit: PAGE }, pages);
  const { data: page, error, isStale, again } = useAsked<{ data: ScheduleSummary[]; next?: string }>(path, AGAIN_MS);
  const [isMaking, setMaking] = useState(false);
  const now = useNow();
  return (
    <>
      <Head title="Schedules" lead="Runs that start by the clock.">
        {may("schedules:write") ? (
          <button type="button" class="primary" onClick={() => setMaking(true)}>
            New schedule
          </button>
        ) : null}
      </Head>
      {isMaking ? <ScheduleForm onClose={() => setMaking(false)} onMade={again} /> : null}
      <Problem error={error} what="The schedules cannot be shown" again={again} />
      {page === undefined && error === undefined ? <Loading /> : null}
      {page?.data.length === 0 ? (
        <Empty title="There are no schedules.">
          <p>A schedule starts a workflow by a cron expression, every so often, or once at a time.</p>
        </Empty>
      ) : null}
      {page === undefined || page.data.length === 0 ? null : (
        <Table label="Schedules" columns={["Name", "Times", "State", "Next", "Last", "Do"]}>
          {page.data.map((schedule) => (
            <Row key={schedule.name} schedule={schedule} now={now} again={again} />
          ))}
        </Table>
      )}
      <Pager of="schedules" pages={pages} next={page?.next} isBusy={isStale} />
    </>
  );
}

function Row({ schedule, now, again }: { schedule: ScheduleSummary; now: number; again(): void }) {
  const { name, workflow, status, nextTick, lastTick, lastRun, lastError } = schedule;
  const act = (method: string, verb: string) => send<{ id: string }>(method, `/v1/schedules/${name}${verb}`);
  const verb = status === "paused" ? "resume" : "pause";
  return (
    <tr>
      <th scope="row">
        {name}
        <br />
        <span class="dim">{workflow}</span>
      </th>
      <td>{timesOf(schedule)}</td>
      <td>
        <Status of={status} />
        {lastError === undefined ? null : (
          <p class="failed-tick" title={fullTime(lastError.tick)}>
            {lastError.message.slice(0, 120)}
          </p>
        )}
      </td>
      <td>
        <Time at={nextTick} now={now} />
      </td>
      <td>
        <Time at={lastTick} now={now} /> {lastRun === undefined ? null : <RunLink id={lastRun} />}
      </td>
      <td>
        <span class="actions tight">
          <Confirm
            needs="schedules:write"
            small
            label="Run now"
            title={`Start a run of ${name} now?`}
            verb="Start"
            onDo={async () => go(hrefOf("runs", (await act("POST", "/trigger")).id))}
          >
            <p>It comes beside its ticks, which stay as they are.</p>
          </Confirm>
          {status === "ended" ? null : (
            <Confirm
              needs="schedules:write"
              small
              label={verb === "pause" ? "Pause" : "Resume"}
              title={verb === "pause" ? `Pause ${name}?` : `Let ${name} go on?`}
              verb={verb === "pause" ? "Pause" : "Resume"}
              onDo={async () => {
                await act("POST", `/${verb}`);
                again();
              }}
            >
              <p>
                {verb === "pause"
                  ? "No tick starts a run until it is resumed."
                  : "It goes on with the next tick from now."}
              </p>
            </Confirm>
          )}
          <Confirm
            needs="schedules:write"
            small
            label="Delete"
            title={`Delete ${name}?`}
            verb="Delete"
            isDangerous
            onDo={async () => {
              await act("DELETE", "");
              again();
            }}
          >
            <p>Its runs stay.</p>
          </Confirm>
        </span>
      </td>
    </tr>
  );
}

function timesOf({ cron, timeZone, every, at }: ScheduleSummary) {
  if (cron !== undefined)
    return (
      <>
        <code>{cron}</code> <span class="dim">{timeZone ?? "UTC"}</span>
      </>
    );
  return every !== undefined ? `every ${duration(every)}` : at === undefined ? "–" : fullTime(at);
}
