import * as v from "valibot";
import { describe, expect, expectTypeOf, test } from "vitest";
import { type Dedupe, type StartOptions, type StartTerms, workflow } from "../../engine/index.ts";
import { checkRunAt, checkTerms } from "../../engine/start-options.ts";

const YEAR_MS = 31_536_000_000;
const past = new Date(0);

test("a start is at most a year away", () => {
  expect(() => checkRunAt(YEAR_MS + 5, 5)).not.toThrow();
  const issues = [{ path: ["runAt"], message: "At most a year from now" }];
  expect(() => checkRunAt(YEAR_MS + 6, 5)).toThrow(expect.objectContaining({ code: "invalid_input", issues }));
});

describe("the terms of a start", () => {
  test.each<[StartTerms, object]>([
    [{}, {}],
    [{ delayMs: 0 }, { start: { inMs: 0 } }],
    [{ delayMs: YEAR_MS }, { start: { inMs: YEAR_MS } }],
    [{ runAt: past }, { start: { atMs: 0 } }],
    [
      { ttlMs: 1, deadlineMs: 2 },
      { ttlMs: 1, deadlineMs: 2 },
    ],
    [{ tags: [] }, {}],
    [{ tags: ["b", "a", "b"] }, { tags: ["b", "a"] }],
    [{ tags: ["A-z_0.9:/@=+"] }, { tags: ["A-z_0.9:/@=+"] }],
    [{ dedupe: { key: "k", mode: "simple" } }, { dedupe: { key: "k", mode: "simple", windowMs: 0, maxWaitMs: 0 } }],
    [
      { dedupe: { key: "k", mode: "debounce", windowMs: 5 } },
      { start: { inMs: 5 }, dedupe: { key: "k", mode: "debounce", windowMs: 5, maxWaitMs: 50 } },
    ],
  ])("%j", (terms, expected) => {
    expect(checkTerms(terms)).toEqual(expected);
  });

  test("a workflow's deadline holds where a start names none", () => {
    expect(checkTerms({}, 7)).toEqual({ deadlineMs: 7 });
    expect(checkTerms({ deadlineMs: 8 }, 7)).toEqual({ deadlineMs: 8 });
  });

  test.each<[string[], unknown]>([
    [["delayMs"], { delayMs: -1 }],
    [["delayMs"], { delayMs: 1.5 }],
    [["delayMs"], { delayMs: "1" }],
    [["delayMs"], { delayMs: YEAR_MS + 1 }],
    [["runAt"], { runAt: "2030-01-01" }],
    [["runAt"], { runAt: new Date("never") }],
    [["runAt"], { delayMs: 1, runAt: past }],
    [["ttlMs"], { ttlMs: 0 }],
    [["deadlineMs"], { deadlineMs: Number.NaN }],
    [["tags"], { tags: "blue" }],
    [["tags"], { tags: [""] }],
    [["tags"], { tags: [7] }],
    [["tags"], { tags: ["a|b"] }],
    [["tags"], { tags: ["x".repeat(65)] }],
    [["tags"], { tags: [..."123456789"] }],
    [["dedupe", "key"], { dedupe: { key: "", mode: "simple" } }],
    [["dedupe", "key"], { dedupe: { mode: "simple" } }],
    [["dedupe", "mode"], { dedupe: { key: "k", mode: "twice" } }],
    [["dedupe", "windowMs"], { dedupe: { key: "k", mode: "throttle" } }],
    [["dedupe", "windowMs"], { dedupe: { key: "k", mode: "debounce", windowMs: 0 } }],
    [["dedupe", "maxWaitMs"], { dedupe: { key: "k", mode: "debounce", windowMs: 9, maxWaitMs: 8 } }],
    [["dedupe"], { delayMs: 1, dedupe: { key: "k", mode: "debounce", windowMs: 9 } }],
  ])("%j is refused where it is wrong: %j", (path, terms) => {
    const issues = [{ path, message: expect.stringMatching(/./) }];
    expect(() => checkTerms(terms as StartTerms)).toThrow(expect.objectContaining({ code: "invalid_input", issues }));
  });
});

describe("a workflow's deadline", () => {
  const input = v.object({});

  test("stays with it, whatever steps are added", () => {
    const inner = workflow("inner", { input, deadlineMs: 7 }).step("a", () => [1]);
    const steps = inner
      .map("b", { over: (list) => list, run: (n) => n })
      .repeat("c", { after: ["a"], until: () => true, max: 1, run: (list) => list })
      .sleep("d", 1)
      .waitFor("e", { schema: v.any() })
      .child("f", { workflow: inner, input: () => ({}) });
    expect(steps.settings.deadlineMs).toBe(7);
    expect(workflow("w", { input }).step("s", () => null).settings.deadlineMs).toBeUndefined();
  });

  test.each([0, -1, 1.5, Number.NaN, YEAR_MS + 1, "5"])("%j is refused, naming the workflow", (deadlineMs) => {
    expect(() => workflow("slow", { input, deadlineMs: deadlineMs as number })).toThrow(
      /^Workflow "slow": deadlineMs must be a whole number/,
    );
  });
});

test("the options have the types that go together", () => {
  expectTypeOf<StartOptions["runAt"]>().toEqualTypeOf<Date | undefined>();
  expectTypeOf<Dedupe["mode"]>().toEqualTypeOf<"simple" | "throttle" | "debounce">();
  // @ts-expect-error: a throttle has a window
  const noWindow: Dedupe = { key: "k", mode: "throttle" };
  // @ts-expect-error: only a debounce has a longest wait
  const tooMuch: Dedupe = { key: "k", mode: "simple", maxWaitMs: 5 };
  // @ts-expect-error: a list of texts
  const numbers: StartTerms = { tags: [1] };
  expect([noWindow, tooMuch, numbers]).toHaveLength(3);
});
