import type { Context } from "hono";
import { type AccessApi, type RateLimit, type Taken, UnavailableError, type VerifiedKey } from "../../engine/index.ts";
import type { Env } from "../context.ts";
import { ProblemError } from "../problem.ts";
import type { Caller } from "./caller.ts";

/** What a key may do how often. It stays so for as long as the key is there. */
export interface KeyLimits {
  /** The key's id. */
  key: string;
  rateLimit?: RateLimit;
  runsPerDay?: number;
}

/** Undefined if there is no limit. */
export function limitsOf({
  id,
  rateLimit,
  quota,
}: Pick<VerifiedKey, "id" | "rateLimit" | "quota">): KeyLimits | undefined {
  const runsPerDay = quota?.runsPerDay;
  if (rateLimit === undefined && runsPerDay === undefined) return undefined;
  return {
    key: id,
    ...(rateLimit === undefined ? {} : { rateLimit }),
    ...(runsPerDay === undefined ? {} : { runsPerDay }),
  };
}

/**
 * Counts a request of a key, and says in the reply, if there is to be one, how its limit stands
 * (https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/).
 *
 * @throws ProblemError 429 if it has asked too often
 */
export async function takeRate(
  c: Context<Env> | undefined,
  access: AccessApi,
  limits: KeyLimits | undefined,
): Promise<void> {
  if (limits?.rateLimit === undefined) return;
  const { key, rateLimit } = limits;
  const { requests, windowMs } = rateLimit;
  const taken = await access.rateLimits.take(`key ${key}`, rateLimit);
  c?.header("RateLimit-Policy", `"requests";q=${requests};w=${Math.ceil(windowMs / 1_000)}`);
  c?.header("RateLimit", `"requests";r=${taken.remaining};t=${Math.ceil(taken.resetMs / 1_000)}`);
  if (!taken.allowed) throw tooMany("rate_limit", `This key may ask ${requests} times in ${windowMs} ms.`, taken);
}

/** Counts the runs that a key starts: those that did not come about, or were there already, do not count. Undefined: no limit. */
export function counting(access: AccessApi, limits: KeyLimits | undefined): Caller["counted"] {
  if (limits?.runsPerDay === undefined) return undefined;
  const { key, runsPerDay } = limits;
  const of = `runs of key ${key}`;
  return async (start) => {
    const taken = await access.quotas.takeOfDay(of, runsPerDay);
    if (!taken.allowed) throw tooMany("quota", `This key may start ${runsPerDay} runs a day.`, taken);
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
