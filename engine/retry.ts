import { DefinitionError } from "./errors.ts";

/** How a step is tried again after its handler failed. All times in milliseconds. */
export interface RetryPolicy {
  /** How often the handler may fail before the step goes to dead letters; the first attempt counts. Default 5. */
  attempts: number;
  /** The first delay. Default 1,000. */
  baseMs: number;
  /** No delay is longer, whatever a function says. Default 60,000. */
  maxMs: number;
  /**
   * How the delay grows with each failure: it doubles (default), it stays, or what a function of the number of failures (1,
   * 2 …) and the last error says, in ms.
   */
  backoff: "exponential" | "fixed" | ((failures: number, error: unknown) => number);
  /** `full` (default): anything from 0 to the delay, by chance. `none`: the delay as it is. */
  jitter: "full" | "none";
}

const DEFAULT_RETRY: RetryPolicy = {
  ...{ attempts: 5, baseMs: 1_000, maxMs: 60_000 },
  ...{ backoff: "exponential", jitter: "full" },
};

/** Checks a policy where it is written; `what` is how it is called there. @throws DefinitionError */
export function retryPolicy(where: string, given: Partial<RetryPolicy> = {}, what = "retry"): RetryPolicy {
  const policy = { ...DEFAULT_RETRY, ...given };
  if (!Number.isInteger(policy.attempts) || policy.attempts < 1 || policy.attempts > 1_000)
    throw new DefinitionError(`${where}: ${what}.attempts must be a whole number from 1 to 1000`);
  if (!(policy.baseMs >= 0) || !(policy.maxMs >= policy.baseMs) || policy.maxMs > 30 * 86_400_000)
    throw new DefinitionError(`${where}: ${what} needs 0 <= baseMs <= maxMs <= 30 days`);
  if (policy.backoff !== "exponential" && policy.backoff !== "fixed" && typeof policy.backoff !== "function")
    throw new DefinitionError(`${where}: ${what}.backoff must be "exponential", "fixed" or a function`);
  if (policy.jitter !== "full" && policy.jitter !== "none")
    throw new DefinitionError(`${where}: ${what}.jitter must be "full" or "none"`);
  return policy;
}

/**
 * How long to wait before a step is tried again. With full jitter anything from 0 to the delay, evenly, so that many steps
 * that failed together do not come back together.
 * (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/)
 *
 * @param failures how often the handler has failed, this time included (1 or more)
 * @param random a number from 0 up to but not including 1
 */
export function backoffMs(policy: RetryPolicy, failures: number, random: number, error?: unknown): number {
  const delay = Math.min(policy.maxMs, Math.max(0, delayMs(policy, failures, error)));
  return policy.jitter === "none" ? Math.round(delay) : Math.floor(random * (delay + 1));
}

function delayMs({ backoff, baseMs, maxMs }: RetryPolicy, failures: number, error: unknown): number {
  if (backoff === "fixed") return baseMs;
  if (backoff === "exponential") return baseMs * 2 ** Math.min(failures - 1, 52);
  // The attempt has failed already: that its backoff fails too must not keep that from being recorded.
  try {
    const ms = Number(backoff(failures, error));
    return Number.isFinite(ms) ? ms : maxMs;
  } catch {
    return maxMs;
  }
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
