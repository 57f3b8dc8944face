import type { Context } from "hono";
import type { AccessApi, RateLimit, RunQuota, Taken, VerifiedKey } from "../../engine/index.ts";
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
  const quota = runQuota(limits);
  if (quota === undefined) return undefined;
  const { key, perDay } = quota;
  return async (start) => {
    const got = await access.quotas.counted(key, perDay, start);
    if ("refused" in got) throw tooMany("quota", `This key may start ${perDay} runs a day.`, got.refused);
    return got.started;
  };
}

/** The quota of the runs that a key starts, itself or by what it has made; undefined if it has none. */
export function runQuota(limits: KeyLimits | undefined): RunQuota | undefined {
  if (limits?.runsPerDay === undefined) return undefined;
  return { key: `runs of key ${limits.key}`, perDay: limits.runsPerDay };
}

function tooMany(code: string, detail: string, { retryAfterMs }: Taken): ProblemError {
  const headers = { "Retry-After": String(Math.max(1, Math.ceil(retryAfterMs / 1_000))) };
  return new ProblemError(429, code, detail, { headers });
}
