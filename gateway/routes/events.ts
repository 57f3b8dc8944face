import { Hono } from "hono";
import * as v from "valibot";
import { type Env, type Gateway, tenantOf } from "../context.ts";
import { idParam } from "../ids.ts";
import { check, readQuery } from "../json.ts";
import { liveEvents } from "../live/many.ts";
import { runEvents } from "../live/one.ts";
import { sseResponse } from "../live/sse.ts";
import { isUpgrade, upgrade } from "../live/upgrade.ts";
import { ProblemError } from "../problem.ts";
import { after } from "../schemas.ts";

const eventsQuery = v.strictObject({ after: v.optional(after) });

/** Runs as they happen: one over a socket or as Server-Sent Events, or many over one socket. */
export function eventRoutes(gateway: Gateway): Hono<Env> {
  const routes = new Hono<Env>();

  routes.get("/v1/runs/:id/events", async (c) => {
    const run = idParam(c, "run");
    const from = readQuery(c, eventsQuery).after;
    // Asked before anything is promised: a socket cannot carry a 404 once it is open.
    const { endedAt } = await gateway.millrace.runs.summary(run, { tenant: tenantOf(c) });
    if (isUpgrade(c)) return upgrade(c, gateway, runEvents(gateway, tenantOf(c), run, from));
    // A browser that reconnects sends the same URL again, so the header is the newer of the two.
    const lastEventId = c.req.header("last-event-id");
    const resumed = lastEventId === undefined ? from : check(after, lastEventId, "Last-Event-ID");
    return sseResponse(c, gateway, run, { after: resumed, ended: endedAt !== undefined });
  });

  routes.get("/v1/live", (c) => {
    if (isUpgrade(c)) return upgrade(c, gateway, liveEvents(gateway, tenantOf(c)));
    throw new ProblemError(426, "upgrade_required", "Open this as a WebSocket.", {
      headers: { Upgrade: "websocket", Connection: "Upgrade" },
    });
  });

  return routes;
}
