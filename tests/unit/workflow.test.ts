import * as v from "valibot";
import { describe, expect, expectTypeOf, test } from "vitest";
import { connect, type StepContext, workflow } from "../../engine/index.ts";

const input = v.object({ name: v.string() });

describe("a chain", () => {
  const chain = workflow("chain", { input, version: 3 })
    .step("length", ({ name }) => name.length)
    .step("twice", { run: async (length) => ({ twice: 2 * length }), timeoutMs: 1_000 })
    .step("lazy", { load: () => import("../support/lazy-step.ts"), retry: { attempts: 2 } });

  test("is a graph of its steps, each after the one before", () => {
    expect(chain.graph).toEqual({
      workflow: "chain",
      version: 3,
      steps: [
        { name: "length", after: [] },
        { name: "twice", after: ["length"] },
        { name: "lazy", after: ["twice"] },
      ],
    });
  });

  test("takes each step's input from the output of the one before", () => {
    expectTypeOf<(typeof chain)["types"]["input"]>().toEqualTypeOf<{ name: string }>();
    expectTypeOf<(typeof chain)["types"]["output"]>().toEqualTypeOf<string>();
    expectTypeOf<(typeof chain)["outputs"]["twice"]>().toEqualTypeOf<{ twice: number }>();
    workflow("types", { input }).step("one", (given, ctx) => {
      expectTypeOf(given).toEqualTypeOf<{ name: string }>();
      expectTypeOf(ctx).toEqualTypeOf<StepContext>();
    });
    // @ts-expect-error: the step before gives a number
    chain.step("wrong", { load: () => import("../support/lazy-step.ts") }).step("more", (given: number) => given);
  });

  test("leaves the definition that a step is added to as it was", () => {
    const more = chain.step("more", () => null);
    expect(chain.steps).toHaveLength(3);
    expect(more.steps).toHaveLength(4);
  });

  test("loads a lazy handler when it is first needed", async () => {
    const handler = await chain.steps[2]!.load();
    expect(await handler({ twice: 4 }, undefined as never)).toBe("4");
  });
});

describe("what cannot work is refused where it is written", () => {
  const flow = workflow("flow", { input });
  test.each<[string, () => unknown, RegExp]>([
    ["a workflow's name", () => workflow("a b", { input }), /Workflow "a b": a name is/],
    ["a version", () => workflow("w", { input, version: 0 }), /Workflow "w": version/],
    ["no schema", () => workflow("w", { input: undefined as never }), /must be a Standard Schema/],
    ["a step's name", () => flow.step("a|b", () => 1), /Step "a\|b" of workflow "flow": a name is/],
    ["a name that is taken", () => flow.step("a", () => 1).step("a", () => 2), /Step "a".*the name is taken/],
    ["a timeout", () => flow.step("a", { run: () => 1, timeoutMs: 0 }), /timeoutMs/],
    ["a concurrency", () => flow.step("a", { run: () => 1, concurrency: 0.5 }), /concurrency/],
    ["crashes", () => flow.step("a", { run: () => 1, crashes: 0 }), /crashes/],
    ["a retry policy", () => flow.step("a", { run: () => 1, retry: { attempts: 0 } }), /attempts/],
    ["no handler", () => flow.step("a", {} as never), /give a handler, run or load/],
    ["a handler that is none", () => flow.step("a", { run: "x" as never }), /no handler function/],
  ])("%s", (_, define, message) => {
    expect(define).toThrow(message);
  });

  test("a module without a handler fails when it is loaded", async () => {
    const flow = workflow("w", { input }).step("a", { load: async () => ({ default: 5 as never }) });
    await expect(flow.steps[0]!.load()).rejects.toThrow("no handler function was found");
  });

  test.each([
    ["no steps", [workflow("empty", { input })], /has no steps/],
    ["the same version twice", [flow.step("a", () => 1), flow.step("b", () => 1)], /has version 1 twice/],
  ])("a set of workflows with %s", async (_, workflows, message) => {
    await expect(connect({ url: "redis://127.0.0.1:1", workflows })).rejects.toThrow(message);
  });
});
