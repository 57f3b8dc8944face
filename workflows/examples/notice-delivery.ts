import * as v from "valibot";
import { workflow } from "../../engine/index.ts";

/** What a receiver has answered. Busy ones are left alone for longer. */
class Refused extends Error {
  readonly status: number;

  constructor(status: number) {
    super(`The receiver answers ${status}.`);
    this.status = status;
  }
}

const MINUTE_MS = 60_000;
/** After the first failure a minute, then five, then an hour. */
const DELAYS_MS = [MINUTE_MS, 5 * MINUTE_MS, 60 * MINUTE_MS];

/** Delivers a message to somebody else's server, with a backoff of its own. */
export const noticeDelivery = workflow("notice-delivery", {
  input: v.object({ url: v.string(), body: v.string() }),
}).step("deliver", {
  timeoutMs: 10_000,
  retry: {
    attempts: 5,
    maxMs: 6 * 60 * MINUTE_MS,
    backoff: (failures, error) => {
      const delay = DELAYS_MS[Math.min(failures, DELAYS_MS.length) - 1]!;
      return error instanceof Refused && error.status === 429 ? 2 * delay : delay;
    },
    jitter: "none",
  },
  run: async ({ url, body }, ctx) => {
    const headers = { "Idempotency-Key": ctx.idempotencyKey };
    const response = await fetch(url, { method: "POST", headers, body, signal: ctx.signal });
    if (!response.ok) throw new Refused(response.status);
    return { attempts: ctx.attempt };
  },
});
