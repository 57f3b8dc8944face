import { expect, test } from "vitest";
import type { Event } from "../../gateway/client/types.ts";
import { spansOf } from "../../gateway/dashboard/app/run/spans.ts";

/** Events, each a second after the one before. */
const log = (...told: (Pick<Event, "type"> & Partial<Event>)[]): Event[] =>
  told.map((event, i) => ({
    ...{ seq: i + 1, cursor: `${i + 1}-0`, run: "r", at: new Date(1_000 * i).toISOString() },
    ...event,
  }));
/** A span as `step kind outcome from-to`, in seconds. */
const shown = (events: Event[], waits: string[] = []) =>
  spansOf(events, new Set(waits)).map(
    ({ step, item, kind, outcome = "open", from, to }) =>
      `${step}${item ?? ""} ${kind} ${outcome} ${from / 1_000}-${to === undefined ? "" : to / 1_000}`,
  );

test("a step that is tried again is an attempt, a pause and another attempt", () => {
  const events = log(
    { type: "run.started" },
    { type: "step.started", step: "a", attempt: 1 },
    { type: "step.retrying", step: "a", attempt: 1 },
    { type: "step.started", step: "a", attempt: 2 },
    { type: "step.completed", step: "a", attempt: 2 },
  );
  expect(shown(events)).toEqual(["a attempt failed 1-2", "a retry completed 2-3", "a attempt completed 3-4"]);
});

test("what was taken over from a worker that died was interrupted, and so is what was at work when the run ended", () => {
  const events = log(
    { type: "step.started", step: "a", attempt: 1 },
    { type: "step.started", step: "b", attempt: 1 },
    { type: "step.started", step: "a", attempt: 1 },
    { type: "step.failed", step: "a", attempt: 1 },
    { type: "run.failed" },
  );
  expect(shown(events)).toEqual(["a attempt interrupted 0-2", "b attempt interrupted 1-4", "a attempt failed 2-3"]);
});

test("items are apart, a wait is no attempt, and what has not ended is open", () => {
  const events = log(
    { type: "step.started", step: "m", item: 0 },
    { type: "step.started", step: "m", item: 1 },
    { type: "step.completed", step: "m", item: 0 },
    { type: "step.started", step: "w" },
  );
  expect(shown(events, ["w"])).toEqual(["m0 attempt completed 0-2", "m1 attempt open 1-", "w wait open 3-"]);
});
