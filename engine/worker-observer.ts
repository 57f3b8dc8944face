import { logger } from "./log.ts";

const log = logger("worker");

/** Of which step something is told. */
export interface ObservedStep {
  workflow: string;
  version: number;
  step: string;
}

/** What has come of an attempt, as its span says it. */
export type AttemptOutcome = "completed" | "skipped" | "waiting" | "expanded" | "retrying" | "failed" | "released";

/** Is told of what a worker does, as it does it: for metrics. What it throws is logged. */
export interface WorkerObserver {
  /** An attempt, or one to undo a step, is over, after so many seconds in its handler; its end is yet to be stored. */
  attempted?(step: ObservedStep, outcome: AttemptOutcome, seconds: number): void;
  /** The end of an attempt was refused: another worker had the step by then, or the run had ended. */
  refused?(step: ObservedStep): void;
  /** So many attempts were taken over from workers that had died. */
  reclaimed?(step: ObservedStep, count: number): void;
}

/** Tells an observer of a step. */
export function tell<K extends keyof WorkerObserver>(
  observer: WorkerObserver | undefined,
  what: K,
  ...told: Parameters<NonNullable<WorkerObserver[K]>>
): void {
  try {
    (observer?.[what] as ((...all: typeof told) => void) | undefined)?.(...told);
  } catch (error) {
    log.error("what observes this worker failed: {error}", { error });
  }
}
