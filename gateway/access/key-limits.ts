import type { Context } from "hono";
import { type AccessApi, type RateLimit, type Taken, UnavailableError } from "../../engine/index.ts";
import type { Env } from "../context.ts";
import { ProblemError } from "../problem.ts";
import type { Caller } from "./caller.ts";

/**
 * Counts a request of a key, and says in the reply, if there is to be one, how its limit stands
 * (https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/).
 *
 * @throws ProblemError 429 if it has asked too often
 */
export async function takeRate(
  c: Context<Env> | undefined,
  access: AccessApi,
  key: string,
  limit: RateLimit,
): Promise<void> {
  const taken = await access.rateLimits.take(`key ${key}`, limit);
  const { requests, windowMs } = limit;
  c?.header("RateLimit-Policy", `"requests";q=${requests};w=${Math.ceil(windowMs / 1_000)}`);
  c?.header("RateLimit", `"requests";r=${taken.remaining};t=${Math.ceil(taken.resetMs / 1_000)}`);
  if (!taken.allowed) throw tooMany("rate_limit", `This key may ask ${requests} times in ${windowMs} ms.`, taken);
}

/** Counts the runs that a key starts: those that did not come about, or were there already, do not count. */
export function counting(access: AccessApi, key: string, perDay: number): NonNullable<Caller["counted"]> {
  const of = `runs of key ${key}`;
  return async (start) => {
    const taken = await access.quotas.takeOfDay(of, perDay);
    if (!taken.allowed) throw tooMany("quota", `This key may start ${perDay} runs a day.`, taken);
    let counts = false;
    try {
      const started = await start();
      counts = started.created;
      return started;
    } catch (error) {
      // It may have come about; asked for again, it is there already.
      counts = error instanceof UnavailableError;
      throw error;
    } finally {
      if (!counts) await access.quotas.giveBack(of, taken).catch(() => {});
    }
  };
}

function tooMany(code: string, detail: string, { retryAfterMs }: Taken): ProblemError {
  const headers = { "Retry-After": String(Math.max(1, Math.ceil(retryAfterMs / 1_000))) };
  return new ProblemError(429, code, detail, { headers });
}
