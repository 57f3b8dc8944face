import type { Event } from "../../../client/types.ts";

/** A stretch of time of a step: an attempt, or what lies between two. Times in ms since 1970. */
export interface Span {
  step: string;
  item: number | undefined;
  kind: "attempt" | "retry" | "wait";
  attempt: number | undefined;
  /** How it ended; undefined: it has not. */
  outcome: "completed" | "failed" | "interrupted" | undefined;
  from: number;
  /** Undefined: it goes on. */
  to: number | undefined;
}

/**
 * What the events of a run say about when its steps were at work, waited, and were to be tried again. In the order of their beginning.
 *
 * @param waits the steps that have no handler: sleeps, waits for signals and child runs
 */
export function spansOf(events: readonly Event[], waits: ReadonlySet<string>): Span[] {
  const spans: Span[] = [];
  const open = new Map<string, Span>();
  const close = (key: string, to: number, outcome: Span["outcome"]) => {
    const span = open.get(key);
    if (span === undefined) return;
    open.delete(key);
    span.to = to;
    span.outcome = outcome;
  };
  for (const { type, step, item, attempt, at } of events) {
    const now = Date.parse(at);
    if (type === "run.completed" || type === "run.failed" || type === "run.cancelled") {
      for (const key of [...open.keys()]) close(key, now, "interrupted");
      continue;
    }
    if (step === undefined) continue;
    const key = `${step} ${item ?? ""}`;
    const begin = (kind: Span["kind"]) => {
      const span: Span = { step, item, kind, attempt, outcome: undefined, from: now, to: undefined };
      open.set(key, span);
      spans.push(span);
    };
    if (type === "step.started") {
      // One that was taken over has had no end of its own.
      close(key, now, open.get(key)?.kind === "attempt" ? "interrupted" : "completed");
      begin(waits.has(step) ? "wait" : "attempt");
    } else if (type === "step.retrying") {
      close(key, now, "failed");
      begin("retry");
    } else if (type === "step.completed" || type === "step.failed") {
      close(key, now, type === "step.completed" ? "completed" : "failed");
    }
  }
  return spans.sort((a, b) => a.from - b.from);
}
