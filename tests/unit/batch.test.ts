import { any, array, number, object, string } from "valibot";
import { describe, expect, expectTypeOf, test } from "vitest";
import type { Attempt } from "../../engine/attempt.ts";
import { Batches } from "../../engine/batches.ts";
import type { Entry } from "../../engine/entry.ts";
import { FatalError, type StepContext, workflow } from "../../engine/index.ts";

const input = object({ text: string() });

test("a batched step has the types of one run, and its graph is that of a task", () => {
  const flow = workflow("flow", { input })
    .batch("embed", {
      size: 10,
      waitMs: 5,
      run: async (inputs, ctxs) => {
        expectTypeOf(inputs).toEqualTypeOf<{ text: string }[]>();
        expectTypeOf(ctxs).toEqualTypeOf<StepContext[]>();
        return inputs.map(({ text }) => (text === "" ? new FatalError("empty") : [text.length]));
      },
    })
    .step("norm", (vector) => {
      expectTypeOf(vector).toEqualTypeOf<number[]>();
      return vector.length;
    })
    .batch("late", { size: 2, waitMs: 0, run: (inputs) => inputs.map(async (n) => `${n}`) });
  expectTypeOf<(typeof flow)["outputs"]>().toEqualTypeOf<{ embed: number[]; norm: number; late: string }>();
  expectTypeOf<(typeof flow)["types"]["output"]>().toEqualTypeOf<string>();
  expect(flow.graph.steps).toEqual([
    { name: "embed", after: [] },
    { name: "norm", after: ["embed"] },
    { name: "late", after: ["norm"] },
  ]);
  // @ts-expect-error: it gives a list, with a result for each input
  workflow("w", { input }).batch("a", { size: 2, waitMs: 0, run: () => 1 });
  // @ts-expect-error: inputs are a list
  const wrong = () => flow.batch("more", { size: 2, waitMs: 0, run: (given: string) => [given] });
  expect(wrong).toBeTypeOf("function");
});

test("the elements of a map may be batched", () => {
  const flow = workflow("flow", { input: array(number()) })
    .map("double", {
      over: (list) => list,
      batch: { size: 10, waitMs: 5 },
      run: (numbers, ctxs) => {
        expectTypeOf(numbers).toEqualTypeOf<number[]>();
        expectTypeOf(ctxs).toEqualTypeOf<StepContext[]>();
        return numbers.map((n) => (n < 0 ? new Error("negative") : 2 * n));
      },
    })
    .step("sum", (doubles) => {
      expectTypeOf(doubles).toEqualTypeOf<number[]>();
      return doubles.length;
    });
  expect(flow.graph.steps[0]).toEqual({ name: "double", after: [], kind: "map" });
});

describe("what cannot work is refused where it is written", () => {
  const batch = (settings: object) => () =>
    workflow("flow", { input: any() }).batch("a", { size: 4, waitMs: 10, run: () => [], ...settings });

  test.each<[string, object, RegExp]>([
    ["a size of one", { size: 1 }, /Step "a" of workflow "flow": size must be a whole number from 2 to 1000/],
    ["half a size", { size: 2.5 }, /size/],
    ["a large size", { size: 1_001 }, /size/],
    ["a negative wait", { waitMs: -1 }, /waitMs must be from 0 to 60000/],
    ["a wait that is none", { waitMs: "5" }, /waitMs/],
    ["a wait as long as an attempt", { waitMs: 100, timeoutMs: 100 }, /waitMs must be less than timeoutMs/],
    ["too little room", { concurrency: 3 }, /a concurrency of 3 leaves no room for a batch of 4/],
    ["no handler", { run: undefined }, /no handler function/],
  ])("%s", (_, settings, message) => {
    expect(batch(settings)).toThrow(message);
  });

  test("and so it is in a map", () => {
    const map = () =>
      workflow("flow", { input: any() }).map("a", {
        over: () => [1],
        batch: { size: 1, waitMs: 1 },
        run: (list) => list,
      });
    expect(map).toThrow(/Step "a" of workflow "flow": size/);
  });
});

describe("attempts that are put together", () => {
  const NEVER_MS = 60_000;
  const [step] = workflow("flow", { input: any() }).batch("a", { size: 3, waitMs: 0, run: () => [] }).steps;
  /** An attempt as far as it matters here. */
  const attempt = (crashes = 0) => {
    const entry = { stream: { step }, crashes } as unknown as Entry;
    return { entry, aborted: undefined as Error | undefined } as Attempt & { aborted: Error | undefined };
  };
  /** Batches whose handler says with whom each was called. */
  const bench = (waitMs = NEVER_MS) => {
    const batches = new Batches(32);
    const add = (input: string, of = attempt()) =>
      batches.result(of, input, (inputs) => inputs.map(() => inputs.join()), { size: 3, waitMs });
    return { batches, add };
  };

  test("are those that have come, up to the size", async () => {
    const { add } = bench();
    expect(await Promise.all([add("a"), add("b"), add("c")])).toEqual(["a,b,c", "a,b,c", "a,b,c"]);
  });

  test("are without those that were aborted meanwhile, whose place is taken by others", async () => {
    const { add } = bench();
    const gone = attempt();
    const first = add("gone", gone);
    const second = add("a");
    gone.aborted = new Error("cancelled");
    const third = add("b");
    await expect(first).rejects.toThrow("cancelled");
    expect(await Promise.all([second, third, add("c")])).toEqual(["a,b,c", "a,b,c", "a,b,c"]);
  });

  test("are without one that may take the worker down with it: that is called alone", async () => {
    const { add, batches } = bench();
    const waiting = add("a");
    expect(await add("poison", attempt(2))).toBe("poison");
    batches.close();
    expect(await waiting).toBe("a");
  });

  test("wait for nobody once the worker stops", async () => {
    const { add, batches } = bench();
    const waiting = [add("a"), add("b")];
    batches.close();
    batches.close();
    expect(await Promise.all(waiting)).toEqual(["a,b", "a,b"]);
    expect(await add("late")).toBe("late");
  });

  test("are called with nothing if all were aborted", async () => {
    const { add, batches } = bench();
    const gone = attempt();
    const waiting = add("gone", gone);
    gone.aborted = new Error("cancelled");
    batches.close();
    await expect(waiting).rejects.toThrow("cancelled");
  });
});
