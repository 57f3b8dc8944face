import type { Context, MiddlewareHandler } from "hono";
import type { Env, Gateway } from "../context.ts";
import { isUpgrade } from "../live/upgrade.ts";
import { METHODS, routeOf } from "../trace.ts";

/** What asks for these asks all the time: of an answer that is as it should be there is nothing to log. */
const POLLED = /^\/(livez|readyz|metrics)$/;

/** Counts every request, and logs a line of it. Paths and queries, in which anything may stand, are in neither. */
export function observed({ metrics, log }: Gateway): MiddlewareHandler<Env> {
  return async (c, next) => {
    const began = performance.now();
    const method = METHODS.includes(c.req.method) ? c.req.method : "other";
    // Once it is upgraded, a runtime may let nobody read the request.
    const isSocket = isUpgrade(c);
    await next();
    const seconds = (performance.now() - began) / 1_000;
    const route = routeOf(c) ?? "none";
    // What the runtime answers to an upgrade that it takes is not in the response.
    const status = isSocket && c.res.status < 300 ? 101 : c.res.status;
    metrics.answered({ method, route, status, seconds });
    if (POLLED.test(route) && status < 400) return;
    log.info("{method} {route} {status} in {durationMs} ms", {
      ...{ requestId: c.get("requestId"), method, route, status, durationMs: Math.round(seconds * 1_000_000) / 1_000 },
      ...whose(c),
    });
  };
}

function whose(c: Context<Env>): Record<string, string> {
  const caller = c.get("caller");
  const traceId = c.get("trace")?.traceparent.split("-")[1];
  return {
    ...(caller === undefined || caller.tenant === "" ? {} : { tenant: caller.tenant, caller: caller.name }),
    ...(caller?.key === undefined ? {} : { keyId: caller.key.id }),
    ...(traceId === undefined ? {} : { traceId }),
  };
}
