import * as v from "valibot";
import { demandRun } from "../access/caller.ts";
import type { Operations } from "../api/operations.ts";
import type { Gateway } from "../context.ts";
import { idParam } from "../ids.ts";
import { check } from "../json.ts";
import { liveEvents } from "../live/many.ts";
import { runEvents } from "../live/one.ts";
import { sseResponse } from "../live/sse.ts";
import { isUpgrade, upgrade } from "../live/upgrade.ts";
import { ProblemError } from "../problem.ts";
import { after } from "../schemas.ts";

const eventsQuery = v.strictObject({ after: v.optional(after) });

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
        "A WebSocket if the request asks for the upgrade, else Server-Sent Events whose `id` is the event's cursor. Both begin after `after`, or after `Last-Event-ID`, and end with the run.",
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
    async ({ c, caller, tenant, query: { after: from } }) => {
      const run = idParam(c, "run");
      // Asked before anything is promised: a socket cannot carry a 404 once it is open.
      const { workflow, endedAt } = await gateway.millrace.runs.summary(run, { tenant });
      demandRun(caller, { id: run, workflow });
      if (isUpgrade(c)) return upgrade(c, gateway, runEvents(gateway, tenant, run, from));
      // A browser that reconnects sends the same URL again, so the header is the newer of the two.
      const lastEventId = c.req.header("last-event-id");
      const resumed = lastEventId === undefined ? from : check(after, lastEventId, "Last-Event-ID");
      return sseResponse(c, gateway, run, { after: resumed, ended: endedAt !== undefined });
    },
  );

  operations.on(
    "get",
    "/v1/live",
    {
      id: "watchRuns",
      tag: "Live",
      summary: "Watch many runs over one socket",
      scope: "runs:read",
      ticket: "watch",
      answers: { 101: { description: "The socket is open." } },
      problems: [400, 426],
    },
    ({ c, tenant }) => {
      if (isUpgrade(c)) return upgrade(c, gateway, liveEvents(gateway, tenant));
      throw new ProblemError(426, "upgrade_required", "Open this as a WebSocket.", {
        headers: { Upgrade: "websocket", Connection: "Upgrade" },
      });
    },
  );
}
