import { describe, expect, test } from "vitest";
import { FatalError, MillraceError, RetryAfterError } from "../../engine/errors.ts";
import { backoffMs, retryPolicy } from "../../engine/retry.ts";
import { decide, type Outcome, type Transition } from "../../engine/transition.ts";

const policy = retryPolicy("Step a", { attempts: 3 });
const sleep = { reason: "sleep", delayMs: 5 } as const;
const boom = new Error("boom");
const record = (message: string, more: object = {}) => expect.objectContaining({ message, ...more });

const table: [name: string, failures: number, Outcome, Transition][] = [
  ["completed", 0, { kind: "completed", output: "1" }, { kind: "complete", output: "1" }],
  ["completed after failures", 2, { kind: "completed", output: "1" }, { kind: "complete", output: "1" }],
  ["was not its turn", 0, { kind: "skipped" }, { kind: "skip" }],
  ["is to pass a gate", 0, { kind: "gated", key: "a" }, { kind: "gate", key: "a" }],
  ["waits", 0, { kind: "parked", parking: sleep }, { kind: "park", parking: sleep }],
  [
    "has items",
    0,
    { kind: "expanded", total: 3, limit: 2, first: "" },
    { kind: "expand", total: 3, limit: 2, first: "" },
  ],
  ["threw the first time", 0, { kind: "threw", error: boom }, { kind: "retry", error: record("boom"), delayMs: 500 }],
  ["threw the second time", 1, { kind: "threw", error: boom }, { kind: "retry", error: record("boom"), delayMs: 1000 }],
  ["threw the last time", 2, { kind: "threw", error: boom }, { kind: "dead", error: record("boom") }],
  [
    "threw nothing at all",
    0,
    { kind: "threw", error: undefined },
    { kind: "retry", error: record("undefined"), delayMs: 500 },
  ],
  [
    "threw a FatalError",
    0,
    { kind: "threw", error: new FatalError("no use") },
    { kind: "dead", error: record("no use", { code: "fatal" }) },
  ],
  [
    "threw a RetryAfterError",
    0,
    { kind: "threw", error: new RetryAfterError("busy", 7_000) },
    { kind: "retry", error: record("busy"), delayMs: 7_000 },
  ],
  [
    "threw a RetryAfterError the last time",
    2,
    { kind: "threw", error: new RetryAfterError("busy", 7_000) },
    { kind: "dead", error: record("busy") },
  ],
  [
    "threw a RetryAfterError of no sense",
    0,
    { kind: "threw", error: new RetryAfterError("busy", Number.NaN) },
    { kind: "retry", error: record("busy"), delayMs: 0 },
  ],
  [
    "threw a RetryAfterError of years",
    0,
    { kind: "threw", error: new RetryAfterError("busy", 1e15) },
    { kind: "retry", error: record("busy"), delayMs: 2_592_000_000 },
  ],
  [
    "timed out, attempts left",
    0,
    { kind: "timed_out", timeoutMs: 5 },
    { kind: "retry", error: record("The attempt took longer than 5 ms.", { code: "step_timeout" }), delayMs: 500 },
  ],
  [
    "timed out the last time",
    2,
    { kind: "timed_out", timeoutMs: 5 },
    { kind: "dead", error: record("The attempt took longer than 5 ms.") },
  ],
  [
    "crashed as often as it may",
    0,
    { kind: "crashed", crashes: 3 },
    { kind: "dead", error: record("The worker that ran this step died 3 times.", { code: "step_crashed" }) },
  ],
  ["interrupted", 0, { kind: "interrupted" }, { kind: "release" }],
  ["interrupted after failures", 2, { kind: "interrupted" }, { kind: "release" }],
];

test.each(table)("%s", (_, failures, outcome, transition) => {
  expect(decide(policy, { failures }, outcome, 0.5)).toEqual(transition);
});

test("an item whose failure is a result is collected where it would be dead", () => {
  const held = { failures: 0, collects: true };
  const thrown = (error: unknown): Outcome => ({ kind: "threw", error });
  expect(decide(policy, held, thrown(new FatalError("no")), 0).kind).toBe("collect");
  expect(decide(policy, held, { kind: "crashed", crashes: 3 }, 0).kind).toBe("collect");
  expect(decide(policy, held, thrown(boom), 0).kind).toBe("retry");
});

describe("backoff", () => {
  test("doubles its ceiling up to the policy's, and jitters over all of it", () => {
    const ceilings = [1, 2, 3, 4, 7, 8, 100].map((failures) => backoffMs(policy, failures, 0.999999));
    expect(ceilings).toEqual([1_000, 2_000, 4_000, 8_000, 60_000, 60_000, 60_000]);
    expect([1, 5, 1_000].map((failures) => backoffMs(policy, failures, 0))).toEqual([0, 0, 0]);
  });

  test("may stay as it is, without chance", () => {
    const fixed = retryPolicy("Step a", { backoff: "fixed", jitter: "none", baseMs: 700 });
    expect([1, 2, 9].map((failures) => backoffMs(fixed, failures, 0.5))).toEqual([700, 700, 700]);
  });

  test("may be a function of the failures and the error, within the ceiling", () => {
    const own = retryPolicy("Step a", {
      backoff: (failures, error) => (error === boom ? failures * 10 : Number.NaN),
      jitter: "none",
      maxMs: 2_000,
    });
    expect([1, 3, 900].map((failures) => backoffMs(own, failures, 0, boom))).toEqual([10, 30, 2_000]);
    expect(backoffMs(own, 1, 0, "what is this")).toBe(2_000);
    const throwing = retryPolicy("Step a", { backoff: () => JSON.parse("{"), jitter: "none" });
    expect(backoffMs(throwing, 1, 0)).toBe(60_000);
  });

  test.each([
    { attempts: 0 },
    { attempts: 1.5 },
    { baseMs: -1 },
    { baseMs: 10, maxMs: 5 },
    { maxMs: Number.NaN },
    { backoff: "linear" as never },
    { jitter: 1 as never },
  ])("%j is no policy", (policy) => {
    expect(() => retryPolicy("Step x", policy)).toThrow(/^Step x: retry/);
  });
});

test("an error's record is bounded, and keeps its causes and codes", () => {
  const cause = new MillraceError("inner", "y".repeat(5_000), { cause: "a string" });
  const outcome: Outcome = { kind: "threw", error: new FatalError("outer", { code: "outer_code", cause }) };
  const transition = decide(policy, { failures: 0 }, outcome, 0);
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
