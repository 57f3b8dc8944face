import * as v from "valibot";
import { describe, expect, expectTypeOf, test } from "vitest";
import { DefinitionError, type Settled, type StepContext, workflow } from "../../engine/index.ts";

const input = v.object({ n: v.number() });
const flow = workflow("flow", { input });
const inner = workflow("inner", { input }).step("work", ({ n }) => `${n}`);

describe("a step with an undo", () => {
  test("says so in its graph, whatever its kind", () => {
    const undo = () => null;
    const all = flow
      .step("task", { run: () => [1], undo })
      .map("map", { over: (list) => list, run: (n) => n, undo })
      .repeat("loop", { run: (list) => list, until: () => true, max: 2, undo })
      .child("child", { workflow: inner, input: () => ({ n: 1 }), undo })
      .step("plain", () => null);
    expect(all.graph.steps.map((step) => [step.name, step.undo])).toEqual([
      ["task", true],
      ["map", true],
      ["loop", true],
      ["child", true],
      ["plain", undefined],
    ]);
  });

  test("is tried again as its step is, where nothing else is said", () => {
    const policies = flow
      .step("as-its-step", { run: () => 1, retry: { attempts: 2, maxMs: 9_000 }, undo: () => null })
      .step("otherwise", {
        run: () => 1,
        retry: { attempts: 2, baseMs: 7 },
        undo: () => null,
        undoRetry: { attempts: 9 },
      })
      .steps.map((step) => step.undo!.retry);
    expect(policies).toMatchObject([
      { attempts: 2, maxMs: 9_000 },
      { attempts: 9, baseMs: 7 },
    ]);
  });

  test("is given what the step was given and what it came to, with their types", () => {
    flow
      .step("task", {
        run: async ({ n }) => ({ text: `${n}` }),
        undo: (done, ctx) => {
          expectTypeOf(done).toEqualTypeOf<{ input: { n: number }; output: { text: string } }>();
          expectTypeOf(ctx).toEqualTypeOf<StepContext>();
        },
      })
      .map("map", {
        over: ({ text }) => [...text],
        onItemFailure: "collect",
        run: (letter) => letter.length,
        undo: (done) => {
          expectTypeOf(done).toEqualTypeOf<{ input: { text: string }; output: Settled<number>[] }>();
        },
      })
      .map("children", {
        over: () => [1],
        workflow: inner,
        input: (n) => ({ n }),
        undo: ({ output }) => expectTypeOf(output).toEqualTypeOf<string[]>(),
      })
      .repeat("loop", {
        run: (texts) => texts,
        until: () => true,
        max: 3,
        undo: (done) => expectTypeOf(done).toEqualTypeOf<{ input: string[]; output: string[] }>(),
      })
      .child("child", {
        workflow: inner,
        input: () => ({ n: 1 }),
        onFailure: "collect",
        undo: (done) => expectTypeOf(done).toEqualTypeOf<{ input: string[]; output: Settled<string> }>(),
      })
      .step("join", {
        after: ["task", "child"],
        run: () => null,
        undo: ({ input: given }) => expectTypeOf(given.task).toEqualTypeOf<{ text: string }>(),
      });
    // @ts-expect-error: the step gives a number
    flow.step("wrong", { run: () => 1, undo: ({ output }: { input: unknown; output: string }) => output });
  });

  test("may be found in the module of its handler, which is loaded once", async () => {
    let loads = 0;
    const load = () => {
      loads += 1;
      return import("../support/lazy-undo.ts");
    };
    const lazy = flow.step("n", ({ n }) => n).step("lazy", { load, undo: true });
    const [, step] = lazy.steps;
    await step!.undo!.load();
    await step!.load();
    expect(loads).toBe(1);
    flow
      .step("n", ({ n }) => n)
      // @ts-expect-error: the module has no undo
      .step("lazy", { load: async () => ({ default: (n: number) => n }), undo: true });
  });

  test("may be at hand where the handler is not", async () => {
    const [, step] = flow
      .step("n", ({ n }) => n)
      .step("lazy", {
        load: (): Promise<{ default: () => number }> => Promise.reject(new Error("not wanted")),
        undo: () => "undone",
      }).steps;
    expect(await (await step!.undo!.load())({ input: 1, output: 2 }, undefined as never)).toBe("undone");
  });

  test("whose module has none fails when it is loaded, and the module may be found later", async () => {
    let found = false;
    const load = async () => {
      if (!found) throw new Error("no");
      return import("../support/lazy-undo.ts");
    };
    const numbers = workflow("numbers", { input: v.number() });
    const [none] = numbers.step("none", { load: async () => ({ default: () => 1 }) as never, undo: true }).steps;
    const [away] = numbers.step("away", { load, undo: true }).steps;
    await expect(none!.undo!.load()).rejects.toThrow(/"none".*no undo function was found/);
    await expect(away!.undo!.load()).rejects.toThrow("no");
    found = true;
    expect(await away!.undo!.load()).toBeTypeOf("function");
  });
});

test.each<[string, () => unknown, RegExp]>([
  ["an undo that is no function", () => flow.step("a", { run: () => 1, undo: "x" as never }), /"a".*no undo function/],
  ["undo: true without load", () => flow.step("a", { run: () => 1, undo: true as never }), /"a".*load finds/],
  ["undoRetry alone", () => flow.step("a", { run: () => 1, undoRetry: {} }), /"a".*with an undo/],
  [
    "an undo's retry policy",
    () => flow.step("a", { run: () => 1, undo: () => 1, undoRetry: { attempts: 0 } }),
    /"a".*undoRetry.attempts/,
  ],
  ["a sleep", () => flow.sleep("a", { for: 1, undo: () => 1 } as never), /"a".*nothing to undo/],
  ["a wait", () => flow.waitFor("a", { schema: v.any(), undo: () => 1 } as never), /"a".*nothing to undo/],
])("what cannot be undone is refused where it is written: %s", (_, define, message) => {
  expect(define).toThrow(DefinitionError);
  expect(define).toThrow(message);
});
