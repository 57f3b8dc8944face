import type { Context } from "hono";
import { type Env, type Gateway, tenantOf } from "./context.ts";

/** Whether a run's last event comes within that time. Nobody waits for a client that has gone. */
export async function endsWithin(
  c: Context<Env>,
  { millrace, log }: Gateway,
  run: string,
  ms: number,
): Promise<boolean> {
  const over = new AbortController();
  const timer = setTimeout(() => over.abort(), ms);
  const signal = AbortSignal.any([over.signal, c.req.raw.signal]);
  try {
    for await (const _ of millrace.watch(run, { tenant: tenantOf(c), signal }));
    return !signal.aborted;
  } catch (error) {
    // The run is accepted, whatever becomes of the waiting.
    log.warn("the end of {run} could not be waited for: {error}", { run, error, requestId: c.get("requestId") });
    return false;
  } finally {
    // A timer of AbortSignal's own would hold all this until it is over.
    clearTimeout(timer);
  }
}
