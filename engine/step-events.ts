import { attemptOf, type Entry } from "./entry.ts";
import type { ErrorRecord } from "./errors.ts";
import { encodeEvent, type StepEventType } from "./events.ts";

/** An event of the step, or the item, that an entry is of. */
export function stepEvent(type: StepEventType, entry: Entry, data: unknown): string {
  const { item, stream } = entry;
  const of = item === undefined ? { step: stream.step.name } : { step: stream.step.name, item };
  return encodeEvent({ type, ...of, attempt: attemptOf(entry), data });
}

/** Clients are shown what went wrong, not where in the code: that is for the reader of the dead letter. */
export function brief({ stack: _stack, ...error }: ErrorRecord): ErrorRecord {
  return error;
}
