import { type ErrorRecord, errorRecord, FatalError, MillraceError, RetryAfterError } from "./errors.ts";
import { type Graph, stepsAfter } from "./graph.ts";
import { backoffMs, type RetryPolicy } from "./retry.ts";

/** What is known of a held step and cannot change while it is held. */
export interface Held {
  step: string;
  /** How often its handler failed before this attempt. */
  failures: number;
}

/** An attempt took longer than it may. */
export class TimedOut extends MillraceError {
  readonly timeoutMs: number;

  constructor(timeoutMs: number) {
    super("step_timeout", `The attempt took longer than ${timeoutMs} ms.`);
    this.timeoutMs = timeoutMs;
  }
}

/** How an attempt ended. */
export type Outcome =
  | { kind: "completed" }
  | { kind: "threw"; error: unknown }
  | { kind: "timed_out"; timeoutMs: number }
  | { kind: "crashed"; crashes: number }
  | { kind: "interrupted" };

/** What follows from it. Times are relative: the script that commits it knows the time. */
export type Transition =
  | { kind: "complete"; next: string[]; ends: boolean }
  | { kind: "retry"; error: ErrorRecord; delayMs: number }
  | { kind: "dead"; error: ErrorRecord }
  | { kind: "release" };

/**
 * Decides what follows from an attempt's outcome. Pure: no I/O, no clock; chance comes in as `random` (0 to below 1).
 *
 * | outcome | transition |
 * |---|---|
 * | completed, steps come after | complete, they are next |
 * | completed, none does | complete, the run ends |
 * | threw FatalError | dead |
 * | threw RetryAfterError, attempts left | retry after its delay |
 * | threw anything else or timed out, attempts left | retry after backoff |
 * | threw or timed out, none left | dead |
 * | took down as many workers as it may | dead |
 * | interrupted | release, uncharged |
 */
export function decide(graph: Graph, policy: RetryPolicy, held: Held, outcome: Outcome, random: number): Transition {
  switch (outcome.kind) {
    case "completed": {
      const next = stepsAfter(graph, held.step);
      return { kind: "complete", next, ends: next.length === 0 };
    }
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
  const delayMs = thrown instanceof RetryAfterError ? retryAfter(thrown) : backoffMs(policy, failures, random);
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
