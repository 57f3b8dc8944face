import { any } from "valibot";
import { describe, expect, expectTypeOf, test } from "vitest";
import { type RetentionPolicy, workflow } from "../../engine/index.ts";
import {
  DEFAULT_RETENTION,
  decodePolicy,
  encodePolicy,
  fitting,
  isDue,
  type RetentionSettings,
} from "../../engine/retention-policy.ts";

const input = any();
const DAY = 86_400_000;

describe("the retention of a definition", () => {
  test("is 7 days, and 30 with a dead letter, unless it says otherwise; and stays with every step", () => {
    expect(workflow("w", { input }).settings.retention).toEqual({
      ...{ ageMs: 7 * DAY, deadLetterAgeMs: 30 * DAY, count: Infinity, bytes: Infinity },
    });
    const own = workflow("w", { input, retention: { ageMs: 0, count: 10 } }).step("a", () => null);
    expect(own.settings.retention).toEqual({ ...DEFAULT_RETENTION, ageMs: 0, count: 10 });
    expectTypeOf(own.settings.retention).toEqualTypeOf<RetentionPolicy>();
    // @ts-expect-error there is no such setting
    expect(() => workflow("w", { input, retention: { age: 1 } })).toThrow(
      'Workflow "w": retention has no "age"; it has ageMs, deadLetterAgeMs, count, bytes',
    );
    // @ts-expect-error a number is wanted
    expect(() => workflow("w", { input, retention: { ageMs: "7d" } })).toThrow("retention.ageMs must be");
  });

  test.each<RetentionSettings>([{ ageMs: -1 }, { count: 1.5 }, { bytes: Number.NaN }, { deadLetterAgeMs: 2 ** 60 }])(
    "%j cannot be",
    (retention) => {
      expect(() => workflow("w", { input, retention })).toThrow(
        /^Workflow "w": retention\.\w+ must be a whole number of \w+, or Infinity$/,
      );
    },
  );

  test("is stored and read again; what cannot be read is the default", () => {
    const policy = { ageMs: Infinity, deadLetterAgeMs: 5, count: 3, bytes: Infinity };
    expect(encodePolicy(policy)).toBe('{"ageMs":null,"deadLetterAgeMs":5,"count":3,"bytes":null}');
    expect(decodePolicy(encodePolicy(policy))).toEqual(policy);
    for (const odd of [undefined, "", "{", '{"ageMs":-1}', "[]", "7"])
      expect(decodePolicy(odd)).toEqual(DEFAULT_RETENTION);
  });
});

test.each([
  ["younger than its age", { endedAt: 901, hasDeadLetter: false, surplus: false }, false],
  ["as old as its age", { endedAt: 900, hasDeadLetter: false, surplus: false }, true],
  ["young, but beyond the newest", { endedAt: 999, hasDeadLetter: false, surplus: true }, true],
  ["old, but with a dead letter", { endedAt: 900, hasDeadLetter: true, surplus: false }, false],
  ["beyond the newest, but with a dead letter", { endedAt: 900, hasDeadLetter: true, surplus: true }, false],
  ["as old as a dead letter gets", { endedAt: 700, hasDeadLetter: true, surplus: false }, true],
])("a run that is %s", (_, run, due) => {
  expect(isDue({ ageMs: 100, deadLetterAgeMs: 300, count: 1, bytes: Infinity }, 1_000, run)).toBe(due);
});

test("a run that is kept for ever is never due", () => {
  const policy = { ...DEFAULT_RETENTION, ageMs: Infinity };
  expect(isDue(policy, Number.MAX_SAFE_INTEGER, { endedAt: 0, hasDeadLetter: false, surplus: false })).toBe(false);
});

test.each([
  [1_000, [100, 100, 100], 1, Infinity],
  [250, [100, 100, 100], 1, 2],
  [200, [100, 100, 100], 1, 2],
  [0, [100], 1, 0],
  [1_500, [100, 300], 10, 11],
  [0, [], 1, Infinity],
])("in %d bytes fit, of runs of %j bytes that stand for %d each, %d", (bytes, sizes, stride, count) => {
  expect(fitting(bytes, sizes, stride)).toBe(count);
});
