import * as v from "valibot";
import { describe, expectTypeOf, test } from "vitest";
import { FatalError, type Settled, type Signalled, workflow } from "../../engine/index.ts";
import type { HandlerName } from "../../engine/testing/types.ts";

type In = { n: number };
const flow = workflow("flow", { input: v.object({ n: v.number() }) });
const started = flow.step("a", ({ n }) => n).step("b", (n) => `${n}`);
type OutputOf<W extends { types: { output: unknown } }> = W["types"]["output"];

describe("what a step is given", () => {
  test("by default, what the one before returns; after one, that one's; after none, the run's input", () => {
    started.step("c", (given) => expectTypeOf(given).toEqualTypeOf<string>());
    started.step("c", { after: ["a"], run: (given) => expectTypeOf(given).toEqualTypeOf<number>() });
    started.step("c", { after: [], run: (given) => expectTypeOf(given).toEqualTypeOf<In>() });
    const some: ("a" | "b")[] = ["a"];
    started.step("c", {
      after: some,
      run: (given) => expectTypeOf(given).toEqualTypeOf<In | number | string | { a?: number; b?: string }>(),
    });
    // @ts-expect-error: there is no such step
    void (() => started.step("c", { after: ["x"], run: () => 1 }));
    // @ts-expect-error: b gives a string
    void (() => started.step("c", { after: ["b"], run: (given: number) => given }));
  });

  test("after several, their outputs by name; those that may be skipped may be missing", () => {
    started.step("c", {
      after: ["a", "b"],
      run: (given) => expectTypeOf(given).toEqualTypeOf<{ a: number; b: string }>(),
    });
    const branch = started
      .step("big", { after: ["a"], when: (n) => n > 9, run: (n) => ({ n }) })
      .step("bigger", ({ n }) => n)
      .step("join", {
        after: ["b", "bigger"],
        run: (given) => expectTypeOf(given).toEqualTypeOf<{ b: string; bigger?: number }>(),
      });
    branch.step("one", {
      after: ["big"],
      // What only it leads to is given it for sure.
      run: (given) => expectTypeOf(given).toEqualTypeOf<{ n: number }>(),
    });
    // @ts-expect-error: a condition says yes or no, at once
    void (() => started.step("c", { when: async () => true, run: () => 1 }));
    // @ts-expect-error: a join's part that may be skipped may be undefined
    void (() => branch.step("x", { after: ["b", "bigger"], run: ({ bigger }): number => bigger }));
  });
});

describe("nothing", () => {
  const maybe = flow.step("a", ({ n }) => (n > 1 ? { n } : undefined));

  test("is null to whoever comes after it, as JSON has it", () => {
    maybe.step("b", (given) => expectTypeOf(given).toEqualTypeOf<In | null>());
    flow.step("a", async () => {}).step("b", (given) => expectTypeOf(given).toEqualTypeOf<null>());
    flow
      .map("m", { over: () => [1], run: (n) => (n > 1 ? n : undefined) })
      .step("b", (given) => expectTypeOf(given).toEqualTypeOf<(number | null)[]>());
    const skipped = workflow("skipped", { input: v.object({ n: v.number() }) }).step("a", {
      when: () => false,
      run: () => 1,
    });
    flow
      .child("c", { workflow: skipped, input: (given) => given })
      .step("b", (given) => expectTypeOf(given).toEqualTypeOf<number | null>());
    flow.step("a", ({ n }) => JSON.parse(`${n}`)).step("b", (given) => expectTypeOf(given).toBeAny());
  });
});

describe("what comes out", () => {
  test("of one end, its output; of several, an object; of one that may be skipped, perhaps nothing", () => {
    expectTypeOf<OutputOf<typeof started>>().toEqualTypeOf<string>();
    const fan = started.step("c", { after: ["a"], run: () => true });
    expectTypeOf<OutputOf<typeof fan>>().toEqualTypeOf<{ b: string; c: boolean }>();
    const maybe = flow.step("a", { when: () => true, run: () => 1 });
    expectTypeOf<OutputOf<typeof maybe>>().toEqualTypeOf<number | undefined>();
    const fanned = started.step("c", { after: ["a"], when: () => true, run: () => true });
    expectTypeOf<OutputOf<typeof fanned>>().toEqualTypeOf<{ b: string; c?: boolean }>();
  });

  test("of a map, a list of its handler's or its child's; collected, of settled ones", () => {
    const of = flow.map("m", { over: ({ n }) => [n, n], run: async (n) => `${n}` });
    expectTypeOf<OutputOf<typeof of>>().toEqualTypeOf<string[]>();
    const collected = flow.map("m", { over: ({ n }) => [n], onItemFailure: "collect", run: (n) => n });
    expectTypeOf<OutputOf<typeof collected>>().toEqualTypeOf<Settled<number>[]>();
    const children = flow.map("m", { over: ({ n }) => [n], workflow: started, input: (n) => ({ n }) });
    expectTypeOf<OutputOf<typeof children>>().toEqualTypeOf<string[]>();
    // @ts-expect-error: what a map goes over is a list
    void (() => flow.map("m", { over: ({ n }) => n, run: () => 1 }));
    // @ts-expect-error: the child wants a number
    void (() => flow.map("m", { over: ({ n }) => [n], workflow: started, input: (n) => ({ n: `${n}` }) }));
  });

  test("of a loop, what its turns hand on", () => {
    const loop = flow.repeat("l", { run: ({ n }) => ({ n: n - 1 }), until: ({ n }) => n === 0, max: 9 });
    expectTypeOf<OutputOf<typeof loop>>().toEqualTypeOf<{ n: number }>();
    // @ts-expect-error: a turn's output is the next one's input
    void (() => flow.repeat("l", { run: ({ n }) => n, until: () => true, max: 9 }));
    // @ts-expect-error: a loop has a bound
    void (() => flow.repeat("l", { run: (given) => given, until: () => true }));
  });

  test("of a sleep, its input; of a wait, the signal's data, or whether it came", () => {
    const sleep = flow.sleep("s", { for: ({ n }) => n });
    expectTypeOf<OutputOf<typeof sleep>>().toEqualTypeOf<In>();
    const wait = flow.waitFor("w", { schema: v.string() });
    expectTypeOf<OutputOf<typeof wait>>().toEqualTypeOf<string>();
    const timed = flow.waitFor("w", { schema: v.string(), timeoutMs: 1 });
    expectTypeOf<OutputOf<typeof timed>>().toEqualTypeOf<Signalled<string>>();
    // @ts-expect-error: a length is a number
    void (() => flow.sleep("s", { for: "3 days" }));
    // @ts-expect-error: whether it came is looked at first
    void (() => timed.step("x", (signal) => signal.data));
  });

  test("of a child, its run's output; collected, or what became of it", () => {
    const child = flow.child("c", { workflow: started, input: (given) => given });
    expectTypeOf<OutputOf<typeof child>>().toEqualTypeOf<string>();
    const collected = flow.child("c", { workflow: started, input: (given) => given, onFailure: "collect" });
    expectTypeOf<OutputOf<typeof collected>>().toEqualTypeOf<Settled<string>>();
    // @ts-expect-error: the child wants {n: number}
    void (() => flow.child("c", { workflow: started, input: ({ n }) => n }));
  });

  test("a child is given what its schema takes, and not what that makes of it", () => {
    const lenient = workflow("lenient", { input: v.object({ n: v.optional(v.number(), 5) }) }).step(
      "a",
      ({ n }) => n + 1,
    );
    flow.child("c", { workflow: lenient, input: () => ({}) });
    const parsed = workflow("parsed", { input: v.pipe(v.string(), v.transform(Number)) }).step("a", (n) => n + 1);
    flow.child("c", { workflow: parsed, input: ({ n }) => `${n}` });
    flow.map("m", { over: ({ n }) => [n], workflow: parsed, input: (n) => `${n}` });
    // @ts-expect-error: the child parses a string
    void (() => flow.child("c", { workflow: parsed, input: ({ n }) => n }));
  });

  test("of a batch, whatever is no Error, even if it has a name and a message", () => {
    const mails = flow.batch("b", {
      size: 2,
      waitMs: 1,
      run: (inputs) => inputs.map(({ n }) => ({ name: "Ada", message: `${n}` })),
    });
    expectTypeOf<OutputOf<typeof mails>>().toEqualTypeOf<{ name: string; message: string }>();
    const mixed = flow.batch("b", {
      size: 2,
      waitMs: 1,
      run: (inputs) => inputs.map(({ n }) => (n > 1 ? new FatalError("no") : n)),
    });
    expectTypeOf<OutputOf<typeof mixed>>().toEqualTypeOf<number>();
  });
});

describe("what may be faked", () => {
  test("is every handler, whatever it returns; not a map's child runs", () => {
    const loose = flow
      .step("any", ({ n }) => JSON.parse(`${n}`))
      .step("unknown", (given): unknown => given)
      .map("items", { over: () => [1], run: (n): unknown => n })
      .map("children", { over: () => [1], workflow: started, input: (n) => ({ n }) });
    expectTypeOf<HandlerName<typeof loose>>().toEqualTypeOf<"any" | "unknown" | "items">();
  });
});
