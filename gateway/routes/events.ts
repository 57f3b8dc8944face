import * as v from "valibot";
import { NAME_PATTERN } from "../../engine/index.ts";
import { type Caller, demandRun } from "../access/caller.ts";
import type { Operations } from "../api/operations.ts";
import type { Gateway } from "../context.ts";
import { checkId, idParam } from "../ids.ts";
import { check } from "../json.ts";
import { parseMany } from "../live/frames.ts";
import { liveEvents } from "../live/many.ts";
import { runEvents } from "../live/one.ts";
import { manyResponse, sseResponse } from "../live/sse.ts";
import { isUpgrade, upgrade } from "../live/upgrade.ts";
import { ProblemError } from "../problem.ts";
import { after } from "../schemas.ts";

const eventsQuery = v.strictObject({ after: v.optional(after) });

/** One stream of Server-Sent Events is of so many single runs. */
const MOST_RUNS = 50;
const liveQuery = v.pipe(
  v.strictObject({
    run: v.optional(
      v.pipe(
        v.union([v.string(), v.array(v.string())]),
        v.transform((runs) => [...new Set(typeof runs === "string" ? [runs] : runs)]),
        v.maxLength(MOST_RUNS, `${MOST_RUNS} at the most.`),
      ),
    ),
    workflow: v.optional(v.pipe(v.string(), v.regex(NAME_PATTERN, "The name of a workflow."))),
    all: v.optional(
      v.pipe(
        v.literal("true"),
        v.transform(() => true as const),
      ),
    ),
    after: v.optional(v.pipe(v.string(), v.maxLength(16_384))),
  }),
  v.check(({ workflow, all }) => workflow === undefined || all === undefined, "Either a workflow or all."),
);

/** Runs as they happen: one over a socket or as Server-Sent Events, or many over one socket. */
export function eventOperations(operations: Operations, gateway: Gateway): void {
  operations.on(
    "get",
    "/v1/runs/{id}/events",
    {
      id: "watchRun",
      tag: "Live",
      summary: "Watch a run",
      description:
        "A WebSocket if the request asks for the upgrade, else Server-Sent Events whose `id` is the event's cursor. Both begin after `after`, or after `Last-Event-ID`, and end with the run. The socket takes signals, too.",
      scope: "runs:read",
      ticket: "watch",
      query: eventsQuery,
      headers: { "Last-Event-ID": "The cursor of the last event that was seen." },
      answers: {
        101: { description: "The socket is open." },
        200: { description: "The run's events.", type: "text/event-stream" },
        204: { description: "The run has ended, and there is nothing after that cursor." },
      },
      problems: [400],
    },
    async ({ c, caller, query: { after: from } }) => {
      const run = idParam(c, "run");
      // Asked before anything is promised: a socket cannot carry a 404 once it is open.
      const hasEnded = await endedFor(gateway, caller, run);
      if (isUpgrade(c)) return upgrade(c, gateway, runEvents(gateway, caller, run, from));
      // A browser that reconnects sends the same URL again, so the header is the newer of the two.
      const lastEventId = c.req.header("last-event-id");
      const resumed = lastEventId === undefined ? from : check(after, lastEventId, "Last-Event-ID");
      return sseResponse(c, gateway, run, { after: resumed, ended: hasEnded });
    },
  );

  operations.on(
    "get",
    "/v1/live",
    {
      id: "watchRuns",
      tag: "Live",
      summary: "Watch many runs",
      description:
        "A WebSocket if the request asks for the upgrade, which takes no parameters: what is watched, and which signals are sent, is said by messages, which `/asyncapi.json` has. Else Server-Sent Events of the runs `run`, up to 50, and of a `workflow` or of `all`. Their `id` says where all of them are.",
      scope: "runs:read",
      ticket: "watch",
      query: liveQuery,
      headers: { "Last-Event-ID": "The last id that was seen." },
      answers: {
        101: { description: "The socket is open." },
        200: { description: "The runs' events.", type: "text/event-stream" },
        204: { description: "All of the runs have ended, and there is nothing after that id." },
      },
      problems: [400, 404, 426],
    },
    async ({ c, caller, query }) => {
      const { run: runs = [], workflow, all, after: from } = query;
      if (isUpgrade(c)) return upgrade(c, gateway, liveEvents(gateway, caller));
      const stream = workflow !== undefined ? { workflow } : all ? { all } : undefined;
      if (runs.length === 0 && stream === undefined)
        throw new ProblemError(426, "upgrade_required", "Open this as a WebSocket, or say what to watch.", {
          headers: { Upgrade: "websocket", Connection: "Upgrade" },
        });
      const ended = await Promise.all(runs.map((run) => endedFor(gateway, caller, checkId(run, "run"))));
      const lastEventId = c.req.header("last-event-id");
      const many = parseMany(lastEventId ?? from, runs, stream);
      if (many === undefined)
        throw new ProblemError(422, "invalid_input", "That is not the id of an event of such a stream.");
      return manyResponse(c, gateway, many, { ended: stream === undefined && ended.every((each) => each) });
    },
  );
}

/** Whether a run has ended. @throws NotFoundError for one that is not there, or not for this caller */
async function endedFor({ millrace }: Gateway, caller: Caller, run: string): Promise<boolean> {
  const { workflow, endedAt } = await millrace.runs.summary(run, { tenant: caller.tenant });
  demandRun(caller, { id: run, workflow });
  return endedAt !== undefined;
}
