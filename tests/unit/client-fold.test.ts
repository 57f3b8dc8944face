import { expect, test } from "vitest";
import { afterEvent } from "../../gateway/client/fold.ts";
import type { Event, Run } from "../../gateway/client/types.ts";

const AT = "2026-11-28T10:00:00.000Z";
const run: Run = {
  ...{ id: "r", workflow: "w", version: 1, status: "queued", seq: 1, createdAt: AT },
  steps: { one: { status: "queued", attempt: 0 } },
};
const error = { name: "Error", message: "no" };

function after(...events: Partial<Event>[]): Run {
  return events.reduce<Run>((at, event) => afterEvent(at, { run: "r", at: AT, ...event } as Event), run);
}

test("a run is folded from its events", () => {
  expect(
    after(
      { seq: 2, type: "run.started" },
      { seq: 3, type: "step.started", step: "one", attempt: 1 },
      { seq: 4, type: "step.progress", step: "one", attempt: 1, data: { progress: 0.5, message: "half" } },
      { seq: 5, type: "step.retrying", step: "one", attempt: 1, data: { error } },
      { seq: 6, type: "step.started", step: "one", attempt: 2 },
    ),
  ).toEqual({
    ...run,
    ...{ status: "running", seq: 6 },
    steps: { one: { status: "running", attempt: 2, progress: 0.5, message: "half", error, startedAt: AT } },
  });
});

test("and so is its end, and what its steps came to", () => {
  expect(after({ seq: 2, type: "step.completed", step: "one", attempt: 1 }, { seq: 3, type: "run.completed" })).toEqual(
    {
      ...run,
      ...{ status: "completed", seq: 3, endedAt: AT },
      steps: { one: { status: "completed", attempt: 1, endedAt: AT } },
    },
  );
  expect(
    after(
      { seq: 2, type: "step.failed", step: "one", attempt: 1, data: { error } },
      { seq: 3, type: "run.failed", data: { error } },
    ),
  ).toMatchObject({ status: "failed", error, steps: { one: { status: "failed", error } } });
});

test("an item says nothing of its step but how far that is", () => {
  expect(
    after(
      { seq: 2, type: "step.failed", step: "one", item: 3, attempt: 1, data: { error } },
      { seq: 3, type: "step.progress", step: "one", data: { progress: 0.25 } },
    ).steps.one,
  ).toEqual({ status: "queued", attempt: 0, progress: 0.25 });
});

test("a step that was not known before is", () => {
  expect(after({ seq: 2, type: "step.started", step: "two", attempt: 1 }).steps.two).toMatchObject({
    status: "running",
  });
});
