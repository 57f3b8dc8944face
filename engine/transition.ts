import { type ErrorRecord, errorRecord, FatalError, MillraceError, RetryAfterError } from "./errors.ts";
import { backoffMs, type RetryPolicy } from "./retry.ts";

/** What is known of a held step, or an item of it, and cannot change while it is held. */
export interface Held {
  /** How often its handler failed before this attempt. */
  failures: number;
  /** Whether it is an item whose failure is a result. */
  collects?: boolean;
}

/** An attempt took longer than it may. */
export class TimedOut extends MillraceError {
  readonly timeoutMs: number;

  constructor(timeoutMs: number) {
    super("step_timeout", `The attempt took longer than ${timeoutMs} ms.`);
    this.timeoutMs = timeoutMs;
  }
}

/** What a step waits for without a worker. */
export type Parking =
  /** A time: so many ms from now, or a time in ms since 1970. */
  | { reason: "sleep"; delayMs: number }
  | { reason: "sleep"; at_ms: number }
  | { reason: "signal"; timeoutMs: number | undefined }
  /** The end of a run; one that is detached is not cancelled with this one. */
  | { reason: "child"; child: string; detached: boolean };

/** How an attempt ended. `output` and `first` are as Redis holds values. */
export type Outcome =
  /** `turn` of a loop: whether another follows. */
  | { kind: "completed"; output: string; turn?: "turn" | "last" }
  | { kind: "skipped" }
  /** It is to pass the gate of its step, as one of this key. */
  | { kind: "gated"; key: string }
  | { kind: "parked"; parking: Parking }
  /** So many items begin, up to `limit` at once; each is given `first`, or '' to find its own. */
  | { kind: "expanded"; total: number; limit: number; first: string }
  | { kind: "threw"; error: unknown }
  | { kind: "timed_out"; timeoutMs: number }
  | { kind: "crashed"; crashes: number }
  | { kind: "interrupted" };

/**
 * What follows from it. Times are relative: the script that commits it knows the time. What comes after a step that is
 * done is counted by that script too, since it is the only one that knows what else was done at the same instant.
 */
export type Transition =
  | { kind: "complete"; output: string; turn?: "turn" | "last" }
  | { kind: "skip" }
  | { kind: "gate"; key: string }
  /** Its slot is given up, and it is to pass the gate of its step again. */
  | { kind: "leave" }
  | { kind: "park"; parking: Parking }
  | { kind: "expand"; total: number; limit: number; first: string }
  | { kind: "retry"; error: ErrorRecord; delayMs: number }
  | { kind: "collect"; error: ErrorRecord }
  | { kind: "dead"; error: ErrorRecord }
  | { kind: "release" };

/**
 * Decides what follows from an attempt's outcome. Pure: no I/O, no clock; chance comes in as `random` (0 to below 1).
 *
 * | outcome | transition |
 * |---|---|
 * | completed, skipped, gated, parked, expanded | complete, skip, gate, park, expand |
 * | threw FatalError | dead |
 * | threw RetryAfterError, attempts left | retry after its delay |
 * | threw anything else or timed out, attempts left | retry after backoff |
 * | threw or timed out, none left | dead |
 * | took down as many workers as it may | dead |
 * | any of these that is dead, of an item whose failure is a result | collect |
 * | interrupted | release, uncharged |
 */
export function decide(policy: RetryPolicy, held: Held, outcome: Outcome, random: number): Transition {
  const transition = follow(policy, held, outcome, random);
  return transition.kind === "dead" && held.collects ? { ...transition, kind: "collect" } : transition;
}

function follow(policy: RetryPolicy, held: Held, outcome: Outcome, random: number): Transition {
  switch (outcome.kind) {
    case "completed":
      return { ...outcome, kind: "complete" };
    case "skipped":
      return { kind: "skip" };
    case "gated":
      return { ...outcome, kind: "gate" };
    case "parked":
      return { ...outcome, kind: "park" };
    case "expanded":
      return { ...outcome, kind: "expand" };
    case "interrupted":
      return { kind: "release" };
    case "crashed":
      return { kind: "dead", error: errorRecord(crashError(outcome.crashes)) };
    case "timed_out":
      return failed(policy, held, new TimedOut(outcome.timeoutMs), random);
    case "threw":
      return failed(policy, held, outcome.error, random);
  }
}

function failed(policy: RetryPolicy, held: Held, thrown: unknown, random: number): Transition {
  const error = errorRecord(thrown);
  const failures = held.failures + 1;
  if (thrown instanceof FatalError || failures >= policy.attempts) return { kind: "dead", error };
  const delayMs = thrown instanceof RetryAfterError ? retryAfter(thrown) : backoffMs(policy, failures, random, thrown);
  return { kind: "retry", error, delayMs };
}

const LONGEST_RETRY_AFTER_MS = 30 * 86_400_000;

function retryAfter(error: RetryAfterError): number {
  const ms = Number.isFinite(error.retryAfterMs) ? error.retryAfterMs : 0;
  return Math.round(Math.min(Math.max(ms, 0), LONGEST_RETRY_AFTER_MS));
}

function crashError(crashes: number): MillraceError {
  return new MillraceError("step_crashed", `The worker that ran this step died ${crashes} times.`);
}
