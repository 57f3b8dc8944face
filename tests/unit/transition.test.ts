import { describe, expect, test } from "vitest";
import { FatalError, MillraceError, RetryAfterError } from "../../engine/errors.ts";
import type { Graph } from "../../engine/graph.ts";
import { backoffMs, retryPolicy } from "../../engine/retry.ts";
import { decide, type Outcome, type Transition } from "../../engine/transition.ts";

const graph: Graph = {
  workflow: "flow",
  version: 1,
  steps: [
    { name: "first", after: [] },
    { name: "last", after: ["first"] },
  ],
};
const policy = { attempts: 3, baseMs: 1_000, maxMs: 60_000 };
const boom = new Error("boom");
const record = (message: string, more: object = {}) => expect.objectContaining({ message, ...more });

const table: [name: string, step: string, failures: number, Outcome, Transition][] = [
  [
    "completed, a step comes after",
    "first",
    0,
    { kind: "completed" },
    { kind: "complete", next: ["last"], ends: false },
  ],
  ["completed, none comes after", "last", 0, { kind: "completed" }, { kind: "complete", next: [], ends: true }],
  ["completed after failures", "last", 2, { kind: "completed" }, { kind: "complete", next: [], ends: true }],
  [
    "threw the first time",
    "first",
    0,
    { kind: "threw", error: boom },
    { kind: "retry", error: record("boom"), delayMs: 500 },
  ],
  [
    "threw the second time",
    "first",
    1,
    { kind: "threw", error: boom },
    { kind: "retry", error: record("boom"), delayMs: 1000 },
  ],
  ["threw the last time", "first", 2, { kind: "threw", error: boom }, { kind: "dead", error: record("boom") }],
  [
    "threw nothing at all",
    "first",
    0,
    { kind: "threw", error: undefined },
    { kind: "retry", error: record("undefined"), delayMs: 500 },
  ],
  [
    "threw a FatalError",
    "first",
    0,
    { kind: "threw", error: new FatalError("no use") },
    { kind: "dead", error: record("no use", { code: "fatal" }) },
  ],
  [
    "threw a RetryAfterError",
    "first",
    0,
    { kind: "threw", error: new RetryAfterError("busy", 7_000) },
    { kind: "retry", error: record("busy"), delayMs: 7_000 },
  ],
  [
    "threw a RetryAfterError the last time",
    "first",
    2,
    { kind: "threw", error: new RetryAfterError("busy", 7_000) },
    { kind: "dead", error: record("busy") },
  ],
  [
    "threw a RetryAfterError of no sense",
    "first",
    0,
    { kind: "threw", error: new RetryAfterError("busy", Number.NaN) },
    { kind: "retry", error: record("busy"), delayMs: 0 },
  ],
  [
    "threw a RetryAfterError of years",
    "first",
    0,
    { kind: "threw", error: new RetryAfterError("busy", 1e15) },
    { kind: "retry", error: record("busy"), delayMs: 2_592_000_000 },
  ],
  [
    "timed out, attempts left",
    "first",
    0,
    { kind: "timed_out", timeoutMs: 5 },
    { kind: "retry", error: record("The attempt took longer than 5 ms.", { code: "step_timeout" }), delayMs: 500 },
  ],
  [
    "timed out the last time",
    "first",
    2,
    { kind: "timed_out", timeoutMs: 5 },
    { kind: "dead", error: record("The attempt took longer than 5 ms.") },
  ],
  [
    "crashed as often as it may",
    "first",
    0,
    { kind: "crashed", crashes: 3 },
    { kind: "dead", error: record("The worker that ran this step died 3 times.", { code: "step_crashed" }) },
  ],
  ["interrupted", "first", 0, { kind: "interrupted" }, { kind: "release" }],
  ["interrupted after failures", "first", 2, { kind: "interrupted" }, { kind: "release" }],
];

test.each(table)("%s", (_, step, failures, outcome, transition) => {
  expect(decide(graph, policy, { step, failures }, outcome, 0.5)).toEqual(transition);
});

describe("backoff", () => {
  test("doubles its ceiling up to the policy's, and jitters over all of it", () => {
    const ceilings = [1, 2, 3, 4, 7, 8, 100].map((failures) => backoffMs(policy, failures, 0.999999));
    expect(ceilings).toEqual([1_000, 2_000, 4_000, 8_000, 60_000, 60_000, 60_000]);
    expect([1, 5, 1_000].map((failures) => backoffMs(policy, failures, 0))).toEqual([0, 0, 0]);
  });

  test.each([{ attempts: 0 }, { attempts: 1.5 }, { baseMs: -1 }, { baseMs: 10, maxMs: 5 }, { maxMs: Number.NaN }])(
    "%j is no policy",
    (policy) => {
      expect(() => retryPolicy("Step x", policy)).toThrow(/^Step x: retry/);
    },
  );
});

test("an error's record is bounded, and keeps its causes and codes", () => {
  const cause = new MillraceError("inner", "y".repeat(5_000), { cause: "a string" });
  const outcome: Outcome = { kind: "threw", error: new FatalError("outer", { code: "outer_code", cause }) };
  const transition = decide(graph, policy, { step: "first", failures: 0 }, outcome, 0);
  if (transition.kind !== "dead") throw new Error("expected a dead letter");
  const { error } = transition;
  expect(error).toMatchObject({
    name: "FatalError",
    code: "outer_code",
    cause: { code: "inner", cause: { message: "a string" } },
  });
  expect(error.cause!.message.length).toBe(2_000);
  expect(error.stack!.length).toBeLessThanOrEqual(2_000);
});
