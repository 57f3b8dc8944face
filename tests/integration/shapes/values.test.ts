import * as v from "valibot";
import { describe, expect, test } from "vitest";
import { FsBlobStore } from "../../../engine/blobs/fs.ts";
import { FatalError, workflow } from "../../../engine/index.ts";
import { engineUnderTest } from "../../support/engine-under-test.ts";
import { temporaryDir } from "../../support/run.ts";

const input = v.any();

describe("the results of a map", () => {
  const over = () => [1, 2];
  const run = (n: number) => 10 * n;

  test("go through a sleep, a loop, a join, a child and another map", async () => {
    const inner = workflow("inner", { input: v.array(v.number()) }).map("each", { over: (list) => list, run });
    const through = workflow("through", { input })
      .map("first", { over, run })
      .sleep("rest", 0)
      .repeat("turn", { run: (list) => list.map((n) => n + 1), until: (_, turn) => turn === 1, max: 3 })
      .child("child", { workflow: inner, input: (list) => list })
      .map("second", { over: (list) => list, run: (n) => n + 1 })
      .step("both", { after: ["first", "second"], run: (given) => given });
    await using engine = await engineUnderTest([through]);
    await engine.worker();
    const ended = await engine.run(through, null);
    expect(ended.output).toEqual({ first: [10, 20], second: [121, 221] });
    // Nothing had to be tried again to find its input.
    expect((await engine.events(ended.id)).filter(({ type }) => type === "step.retrying")).toEqual([]);
    expect(ended.steps).toMatchObject({
      rest: { output: [10, 20] },
      turn: { output: [12, 22] },
      child: { output: [120, 220] },
    });
  });

  test("of more than a hundred are not shown with the run, but are its output", async () => {
    const many = workflow("many", { input }).map("each", {
      over: () => Array.from({ length: 101 }, (_, i) => i),
      run: (n) => n,
    });
    await using engine = await engineUnderTest([many]);
    await engine.worker();
    const ended = await engine.run(many, null);
    expect(ended.steps.each).not.toHaveProperty("output");
    expect(ended.output).toHaveLength(101);
  });
});

describe("values that are nothing", () => {
  test("undefined and null travel as null, everywhere", async () => {
    const child = workflow("nothing-child", { input }).step("a", () => undefined);
    const nothing = workflow("nothing", { input })
      .step("undefined", { after: [], run: () => undefined })
      .map("map", { after: [], over: () => [null, undefined, 0], run: (n) => n })
      .repeat("loop", { after: [], run: () => null, until: (_, turn) => turn === 1, max: 3 })
      .waitFor("signal", { after: [], schema: v.null() })
      .child("child", { after: [], workflow: child, input: () => undefined })
      .sleep("sleep", { after: [], for: 0 })
      .step("join", {
        after: ["undefined", "map", "loop", "signal", "child", "sleep"],
        run: (given) => given,
      });
    await using engine = await engineUnderTest([nothing]);
    await engine.worker();
    const { id } = await engine.millrace.runs.start(nothing, undefined);
    await engine.millrace.runs.signal(id, "signal", null);
    const [none, list] = [null, [null, null, 0]];
    expect(await engine.ended(id)).toMatchObject({
      status: "completed",
      output: { undefined: none, map: list, loop: none, signal: none, child: none, sleep: none },
    });
  });

  test.each(["constructor", "toString", "hasOwnProperty", "0", "-", "length"])(
    "a step may be named %s",
    async (name) => {
      const odd = workflow("odd", { input })
        .map(name as "x", { over: () => [1], run: (n) => n })
        .step("other", { after: [], run: () => 2 })
        .step("join", { after: [name as "x", "other"], run: (given) => given });
      await using engine = await engineUnderTest([odd]);
      await engine.worker();
      const ended = await engine.run(odd, null);
      expect(ended.output).toEqual({ [name]: [1], other: 2 });
      expect(Object.keys(ended.steps).sort()).toEqual([name, "join", "other"].sort());
    },
  );
});

describe("elements and outputs above 32 KB", () => {
  const large = (i: number) => ({ i, pad: `${i}`.repeat(40_000) });

  test("are in the blob store, and come back to each item and to what follows", async () => {
    const flow = workflow("large", { input })
      .map("each", { over: () => [0, 1, 2, 3].map(large), limit: 4, run: (element) => element })
      .repeat("turn", { run: (list) => list, until: (_, turn) => turn === 1, max: 2 })
      .step("sizes", (list) => list.map(({ pad }) => pad.length));
    await using engine = await engineUnderTest([flow], { blobs: new FsBlobStore(await temporaryDir()) });
    await engine.worker();
    const ended = await engine.run(flow, null);
    expect(ended.output).toEqual([40_000, 40_000, 40_000, 40_000]);
    const { data } = await engine.millrace.runs.items(ended.id, "each");
    expect(data[3]).toEqual({ item: 3, status: "completed", output: large(3) });
  });

  test("more chunks of them than are kept in memory", async () => {
    const elements = Array.from({ length: 700 }, (_, i) => ({ i, pad: "x".repeat(500) }));
    const flow = workflow("chunks", { input }).map("each", { over: () => elements, limit: 700, run: ({ i }) => i });
    await using engine = await engineUnderTest([flow], { blobs: new FsBlobStore(await temporaryDir()) });
    await engine.worker({ concurrency: 200 });
    expect((await engine.run(flow, null)).output).toEqual(elements.map(({ i }) => i));
  });

  test("without a blob store, they fail their step for good", async () => {
    const flow = workflow("none", { input }).map("each", { over: () => [1], retry: { attempts: 1 }, run: large });
    await using engine = await engineUnderTest([flow]);
    await engine.worker();
    expect(await engine.run(flow, null)).toMatchObject({ status: "failed" });
  });
});

describe("a condition", () => {
  test.each([
    ["when", workflow("w", { input }).step("a", { when: (async () => false) as never, run: () => 1 })],
    ["until", workflow("w", { input }).repeat("a", { run: () => 1, until: (async () => false) as never, max: 3 })],
  ])("by a promise is refused: %s", async (_, flow) => {
    await using engine = await engineUnderTest([flow]);
    await engine.worker();
    expect(await engine.run(flow, null)).toMatchObject({ status: "failed", error: { code: "async_condition" } });
  });

  test.each<[string, unknown]>([
    ["below 0", -1],
    ["above a year", 400 * 86_400_000],
    ["no number", Number.NaN],
    ["a time without its zone", "2030-01-01T10:00:00"],
    ["no date", new Date(Number.NaN)],
    ["something else", { days: 3 }],
  ])("a sleep that is %s fails for good", async (_, time) => {
    const flow = workflow("w", { input }).sleep("a", { for: () => time as number });
    await using engine = await engineUnderTest([flow]);
    await engine.worker();
    expect(await engine.run(flow, null)).toMatchObject({ status: "failed", error: { code: "bad_time" } });
  });

  test("a list that is too long is refused", async () => {
    const flow = workflow("w", { input }).map("a", { over: () => new Array(100_001).fill(0), run: () => 1 });
    await using engine = await engineUnderTest([flow]);
    await engine.worker();
    expect(await engine.run(flow, null)).toMatchObject({ status: "failed", error: { code: "list_too_long" } });
  });

  test("what a child is given is checked, and what it refuses fails its parent for good", async () => {
    const strict = workflow("strict", { input: v.object({ n: v.number() }) }).step("a", () => 1);
    const flow = workflow("w", { input }).child("a", { workflow: strict, input: () => ({ n: "one" }) as never });
    await using engine = await engineUnderTest([flow]);
    await engine.worker();
    expect(await engine.run(flow, null)).toMatchObject({ status: "failed", error: { code: "invalid_child_input" } });
  });

  test("what throws in over, input or until is an attempt that failed", async () => {
    let calls = 0;
    const flow = workflow("w", { input }).map("a", {
      over: () => {
        calls += 1;
        if (calls === 1) throw new Error("once");
        throw new FatalError("for good");
      },
      retry: { baseMs: 0, maxMs: 0 },
      run: () => 1,
    });
    await using engine = await engineUnderTest([flow]);
    await engine.worker();
    expect(await engine.run(flow, null)).toMatchObject({ status: "failed", error: { message: "for good" } });
    expect(calls).toBe(2);
  });
});
