import { any } from "valibot";
import { describe, expect, expectTypeOf, test } from "vitest";
import { FatalError, type StepContext, workflow } from "../../engine/index.ts";
import { encodeBudget, givenBudget, parseBudget, parseUsage, Spending, type UsageReport } from "../../engine/usage.ts";

describe("what an attempt has used", () => {
  test("is a sum in whole numbers, and by key", () => {
    const spending = new Spending();
    expect(spending.isEmpty).toBe(true);
    for (let i = 0; i < 10; i += 1) spending.add({ tokens: 3, cost: 0.1, key: i < 4 ? "ann" : "bob" });
    spending.add({ cost: 0.000_000_001 });
    expect(spending.take()).toEqual({
      ...{ tokens: 30, billionths: 1_000_000_001 },
      byKey: new Map([
        ["ann", { tokens: 12, billionths: 400_000_000 }],
        ["bob", { tokens: 18, billionths: 600_000_000 }],
      ]),
    });
    expect(spending.take()).toBeUndefined();
    expect(spending.isEmpty).toBe(true);
  });

  test.each<[string, unknown]>([
    ["half a token", { tokens: 0.5 }],
    ["negative tokens", { tokens: -1 }],
    ["more tokens than there are", { tokens: 1e13 }],
    ["a cost that is none", { cost: Number.NaN }],
    ["a negative cost", { cost: -0.1 }],
    ["an infinite cost", { cost: Number.POSITIVE_INFINITY }],
    ["a cost as text", { cost: "1" }],
    ["an empty key", { tokens: 1, key: "" }],
    ["a long key", { tokens: 1, key: "x".repeat(201) }],
  ])("is refused if it is %s", (_, report) => {
    const spending = new Spending();
    expect(() => spending.add(report as UsageReport)).toThrow(FatalError);
    expect(spending.isEmpty).toBe(true);
  });

  test("has ten keys at the most", () => {
    const spending = new Spending();
    for (let i = 0; i < 20; i += 1) spending.add({ tokens: 1, key: `k${i % 10}` });
    expect(() => spending.add({ tokens: 1, key: "k10" })).toThrow("10 keys at the most");
  });
});

test("sums and budgets come back as they were given", () => {
  expect(parseUsage("30 300000000")).toEqual({ tokens: 30, cost: 0.3 });
  for (const budget of [{ tokens: 5 }, { cost: 0.7 }, { tokens: 0, cost: 1_000_000 }])
    expect(parseBudget(encodeBudget(budget))).toEqual(budget);
  expect(parseBudget("- 500 7 9")).toEqual({ cost: 0.000_000_5 });
});

test.each<[string, unknown]>([
  ["nothing", {}],
  ["null", null],
  ["half a token", { tokens: 0.5 }],
  ["a negative cost", { cost: -1 }],
  ["something else", { tokens: 1, euros: 3 }],
])("a budget of %s is refused", (_, budget) => {
  expect(() => workflow("flow", { input: any(), budget: budget as never })).toThrow(/Workflow "flow": a budget is/);
  expect(() => givenBudget(budget as never)).toThrow("The budget is not one.");
});

test("a definition keeps its budget as steps are added", () => {
  const flow = workflow("flow", { input: any(), budget: { tokens: 9 } }).step("a", () => 1);
  expect(flow.settings.budget).toEqual({ tokens: 9 });
});

test("once has the type of what its function gives", () => {
  workflow("types", { input: any() }).step("a", (_: unknown, ctx: StepContext) => {
    expectTypeOf(ctx.once<number>).returns.toEqualTypeOf<Promise<number>>();
    const later = () => ctx.once("later", async () => ({ a: 1 }));
    expectTypeOf(later).returns.toEqualTypeOf<Promise<{ a: number }>>();
    const now = () => ctx.once("now", () => "x");
    expectTypeOf(now).returns.toEqualTypeOf<Promise<string>>();
    // @ts-expect-error: a result needs a name
    const nameless = () => ctx.once(() => 1);
    // @ts-expect-error: a key is a text
    const keyed = () => ctx.usage({ tokens: 1, key: 5 });
    return [nameless, keyed].length;
  });
});
