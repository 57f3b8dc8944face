import { DefinitionError } from "./errors.ts";

/** How a step is tried again after its handler failed. All times in milliseconds. */
export interface RetryPolicy {
  /** How often the handler may fail before the step goes to dead letters; the first attempt counts. Default 5. */
  attempts: number;
  /** The ceiling of the first delay. It doubles with each failure. Default 1,000. */
  baseMs: number;
  /** No delay is longer. Default 60,000. */
  maxMs: number;
}

const DEFAULT_RETRY: RetryPolicy = { attempts: 5, baseMs: 1_000, maxMs: 60_000 };

/** Checks a policy where it is written. @throws DefinitionError */
export function retryPolicy(where: string, given: Partial<RetryPolicy> = {}): RetryPolicy {
  const policy = { ...DEFAULT_RETRY, ...given };
  if (!Number.isInteger(policy.attempts) || policy.attempts < 1 || policy.attempts > 1_000)
    throw new DefinitionError(`${where}: retry.attempts must be a whole number from 1 to 1000`);
  if (!(policy.baseMs >= 0) || !(policy.maxMs >= policy.baseMs) || policy.maxMs > 30 * 86_400_000)
    throw new DefinitionError(`${where}: retry needs 0 <= baseMs <= maxMs <= 30 days`);
  return policy;
}

/**
 * Exponential backoff with full jitter: anything from 0 to the ceiling, evenly, so that many steps that failed
 * together do not come back together.
 * (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/)
 *
 * @param failures how often the handler has failed, this time included (1 or more)
 * @param random a number from 0 up to but not including 1
 */
export function backoffMs(policy: RetryPolicy, failures: number, random: number): number {
  const ceiling = Math.min(policy.maxMs, policy.baseMs * 2 ** Math.min(failures - 1, 52));
  return Math.floor(random * (ceiling + 1));
}

/**
 * How long to pause before something is tried again for as long as it takes, a lost connection say: a ceiling that
 * doubles with each try, less up to half of it by chance.
 *
 * @param tries how often it has failed so far
 */
export function pauseMs(tries: number, fromMs: number, toMs: number): number {
  const ceiling = Math.min(toMs, fromMs * 2 ** Math.min(tries, 10));
  return Math.round(ceiling * (0.5 + Math.random() / 2));
}
