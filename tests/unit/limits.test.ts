import * as v from "valibot";
import { describe, expect, expectTypeOf, test } from "vitest";
import { firstGateKeys } from "../../engine/first-gates.ts";
import { FatalError, type Limits, workflow } from "../../engine/index.ts";
import { encodeLimits, keyOfTicket, limitKey, stepLimits } from "../../engine/limits.ts";

const input = v.object({ user: v.string(), letters: v.array(v.object({ to: v.string() })) });
const flow = workflow("flow", { input });
const run = () => 0;

describe("a definition", () => {
  test("the key is made of the step's input, the element of a map, the input of a turn", () => {
    const definition = flow
      .step("read", ({ user }) => ({ owner: user, list: [1, 2] }))
      .step("count", {
        limits: {
          key: (given) => {
            expectTypeOf(given).toEqualTypeOf<{ owner: string; list: number[] }>();
            return given.owner;
          },
          concurrency: 2,
        },
        run: ({ list }) => list,
      })
      .map("each", {
        over: (list) => list,
        limits: {
          key: (element) => {
            expectTypeOf(element).toEqualTypeOf<number>();
            return String(element);
          },
          concurrency: 1,
        },
        run: (n) => n * 2,
      })
      .repeat("sum", {
        limits: { key: (list) => String(list.length), concurrency: 1 },
        until: (list) => list.length === 1,
        max: 5,
        run: (list) => list.slice(1),
      });
    expect(definition.graph.steps.map(({ limits }) => limits)).toEqual([undefined, true, true, true]);
  });

  test("types refuse what is no key and no limit", () => {
    const typed: Limits<{ user: string }> = { key: ({ user }) => user, tokens: { perMinute: 1 } };
    expect(typed).toBeDefined();
    // @ts-expect-error a key is a text
    flow.step("a", { limits: { key: () => 7, concurrency: 1 }, run });
    // @ts-expect-error there is no such field in the input
    flow.step("a", { limits: { key: ({ nobody }) => nobody, concurrency: 1 }, run });
    // @ts-expect-error a window has a length
    expect(() => flow.step("a", { limits: { rate: { count: 1 } }, run })).toThrow("limits.rate.windowMs");
  });

  test.each([
    [{}, "limits must have one of concurrency, rate, tokens"],
    [{ key: String }, "limits must have one of concurrency, rate, tokens"],
    [{ key: String, concurrency: undefined, total: {} }, "limits must have one of concurrency, rate, tokens"],
    [null, "limits must be an object"],
    [[], "limits must be an object"],
    [{ concurency: 1 }, 'limits has no "concurency": it has key, total, concurrency, rate, tokens'],
    [{ key: "user", concurrency: 1 }, "limits.key must be a function"],
    [{ concurrency: 1, total: { concurrency: 1 } }, "limits.total goes with limits.key"],
    [{ key: String, total: { key: String } }, 'limits.total has no "key": it has concurrency, rate, tokens'],
    [{ concurrency: 0 }, "limits.concurrency must be a whole number from 1 to 100000"],
    [{ concurrency: 1.5 }, "limits.concurrency must be a whole number from 1 to 100000"],
    [{ rate: 5 }, "limits.rate must be an object"],
    [{ rate: { count: 0, windowMs: 1_000 } }, "limits.rate.count must be a whole number from 1 to 1000000"],
    [{ rate: { count: 1, windowMs: 99 } }, "limits.rate.windowMs must be a whole number from 100 to 2678400000"],
    [{ tokens: { perMinute: -1 } }, "limits.tokens.perMinute must be a whole number from 1 to 1000000000"],
    [
      { key: String, total: { tokens: {} } },
      "limits.total.tokens.perMinute must be a whole number from 1 to 1000000000",
    ],
  ])("%j is refused", (limits, message) => {
    const make = () => flow.step("work", { limits: limits as never, run });
    expect(make).toThrow(`Step "work" of workflow "flow": ${message}`);
  });

  test.each([
    ["sleep", () => flow.sleep("wait", { for: 1, limits: { concurrency: 1 } } as never)],
    ["a wait", () => flow.waitFor("wait", { schema: v.any(), limits: { concurrency: 1 } } as never)],
    ["a child run", () => flow.child("wait", { workflow: flow.step("a", run), input: String, limits: {} } as never)],
    [
      "a map of child runs",
      () => flow.map("wait", { over: () => [], workflow: flow.step("a", run), input: String, limits: {} } as never),
    ],
  ])("%s has no handler to limit", (_, make) => {
    expect(make).toThrow('Step "wait" of workflow "flow": limits go with a step that has a handler');
  });
});

describe("what a gate keeps", () => {
  test("of limits: eight words", () => {
    const limits = {
      concurrency: 2,
      total: { rate: { count: 3, windowMs: 1_000 }, tokens: { perMinute: 9 } },
      key: String,
    };
    expect(encodeLimits(stepLimits("", limits))).toBe("2 - - - - 3 1000 9");
  });

  test("of a key: itself, or a digest", async () => {
    const limits = stepLimits("", { key: String, concurrency: 1 });
    expect(await limitKey(limits, "a.user@example.com")).toBe("a.user@example.com");
    for (const odd of ["with space", "a|b", "*", "~", "x".repeat(65)])
      expect(await limitKey(limits, odd)).toMatch(/^#[0-9a-f]{32}$/);
  });

  test("two odd keys are not mixed up, and one is always the same", async () => {
    const limits = stepLimits("", { key: String, concurrency: 1 });
    const [one, other, again] = await Promise.all(["ä", "ö", "ä"].map((text) => limitKey(limits, text)));
    expect(one).not.toBe(other);
    expect(one).toBe(again);
  });

  test.each([7, "", undefined, "x".repeat(10_001)])("no key: %j", async (made) => {
    const limits = stepLimits("", { key: () => made, concurrency: 1 });
    await expect(limitKey(limits, null)).rejects.toThrow(FatalError);
  });

  test("of a step without a key: one, that is not shown", async () => {
    const key = await limitKey(stepLimits("", { concurrency: 1 }), null);
    expect(keyOfTicket(`${key}|1|R||t|0|0`)).toBeUndefined();
    expect(keyOfTicket("user|1|R||t|0|0")).toBe("user");
  });
});

describe("whose a new run is", () => {
  const limits = { key: ({ user }: { user: string }) => user, concurrency: 1 };
  const input = v.object({ user: v.string() });

  test("is said of its first steps that have limits and no condition, by the input as JSON holds it", async () => {
    const flow = workflow("flow", { input })
      .step("known", { after: [], limits, run: () => 1 })
      .step("unlimited", { after: [], run: () => 1 })
      .step("conditional", { after: [], limits, when: () => false, run: () => 1 })
      .step("later", { after: ["known"], limits: { concurrency: 1 }, run: () => 1 });
    expect(await firstGateKeys(flow, '{"user":"ann"}')).toEqual(new Map([["known", "ann"]]));
  });

  test("is left to the delivery if it cannot be said", async () => {
    const flow = workflow("flow", { input }).step("work", { limits, run: () => 1 });
    expect(await firstGateKeys(flow, '{"user":""}')).toEqual(new Map());
    expect(await firstGateKeys(flow, "null")).toEqual(new Map());
  });
});
