import { array, number } from "valibot";
import { describe, expect, test } from "vitest";
import { FatalError, RetryAfterError, workflow } from "../../engine/index.ts";
import { NamespaceKeys } from "../../engine/keys.ts";
import { type EngineUnderTest, engineUnderTest } from "../support/engine-under-test.ts";
import { Gates } from "../support/gates.ts";
import { rawRedis } from "../support/redis.ts";

const retry = { attempts: 2, baseMs: 0, maxMs: 0 };
/** So long that a test which depends on it fails. */
const NEVER_MS = 60_000;

async function start(engine: EngineUnderTest, name: string, inputs: readonly number[]): Promise<string[]> {
  return Promise.all(inputs.map(async (n) => (await engine.millrace.runs.start(name, n)).id));
}
const ended = (engine: EngineUnderTest, ids: readonly string[]) => Promise.all(ids.map((id) => engine.ended(id)));

describe("a batch", () => {
  test("is called when it is full, with each run's own input, context and result", async () => {
    const calls: { inputs: number[]; runs: string[]; signals: number }[] = [];
    const flow = workflow("flow", { input: number() })
      .batch("many", {
        ...{ size: 4, waitMs: NEVER_MS },
        run: (inputs, ctxs) => {
          const signals = new Set(ctxs.map(({ signal }) => signal)).size;
          calls.push({ inputs: [...inputs], runs: ctxs.map(({ run }) => run.id), signals });
          for (const [i, ctx] of ctxs.entries()) ctx.emit({ n: inputs[i] });
          return inputs.map((n) => n * 10);
        },
      })
      .step("plus", (n) => n + 1);
    await using engine = await engineUnderTest([flow]);
    await engine.worker();
    const ids = await start(engine, "flow", [1, 2, 3, 4, 5, 6, 7, 8]);
    const runs = await ended(engine, ids);
    expect(runs.map(({ output }) => output)).toEqual([11, 21, 31, 41, 51, 61, 71, 81]);
    expect(calls.map(({ inputs }) => inputs.length)).toEqual([4, 4]);
    expect(calls.map(({ signals }) => signals)).toEqual([4, 4]);
    for (const { inputs, runs } of calls) expect(runs).toEqual(inputs.map((n) => ids[n - 1]));
    for (const [i, id] of ids.entries())
      expect((await engine.events(id)).filter(({ type }) => type === "step.output")).toMatchObject([
        { data: { n: i + 1 } },
      ]);
  });

  test("is called with what there is once the first has waited", async () => {
    const sizes: number[] = [];
    const flow = workflow("flow", { input: number() }).batch("many", {
      ...{ size: 1_000, waitMs: 20 },
      run: (inputs) => {
        sizes.push(inputs.length);
        return inputs;
      },
    });
    await using engine = await engineUnderTest([flow]);
    await engine.worker({ concurrency: 1_000 });
    expect((await ended(engine, await start(engine, "flow", [1, 2, 3]))).map(({ output }) => output)).toEqual([
      1, 2, 3,
    ]);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(3);
  });

  test.each([
    ["the worker's", {}, { concurrency: 3 }],
    ["the step's, where that is what another step leaves it", { concurrency: 5, size: 5 }, { concurrency: 3 }],
  ])("has room for what there are slots for: %s", async (_, settings, options) => {
    const sizes: number[] = [];
    const flow = workflow("flow", { input: number() }).batch("many", {
      ...{ size: 10, waitMs: NEVER_MS, ...settings },
      run: (inputs) => {
        sizes.push(inputs.length);
        return inputs;
      },
    });
    await using engine = await engineUnderTest([flow]);
    await engine.worker(options);
    await ended(engine, await start(engine, "flow", [1, 2, 3, 4, 5, 6]));
    expect(sizes).toEqual([3, 3]);
  });

  test("fails one without the others, by its own decision and its own retries", async () => {
    const seen: [number, number][] = [];
    const flow = workflow("flow", { input: number() }).batch("many", {
      ...{ size: 5, waitMs: 50, retry },
      run: (inputs, ctxs) =>
        inputs.map((n, i): number | Error | Promise<number> => {
          const { attempt } = ctxs[i]!;
          seen.push([n, attempt]);
          if (n === 1) return new FatalError("never");
          if (n === 2) return attempt === 1 ? new RetryAfterError("later", 0) : n;
          if (n === 3) return attempt === 1 ? Promise.reject(new Error("not yet")) : Promise.resolve(n);
          if (n === 4) return new Error("again and again");
          return n;
        }),
    });
    await using engine = await engineUnderTest([flow]);
    await engine.worker();
    const runs = await ended(engine, await start(engine, "flow", [1, 2, 3, 4, 5]));
    expect(runs.map(({ output, error }) => output ?? error?.message)).toEqual(["never", 2, 3, "again and again", 5]);
    expect(runs.map(({ steps }) => steps.many!.attempt)).toEqual([1, 2, 2, 2, 1]);
    expect(seen.map(([n, attempt]) => `${n}/${attempt}`).sort()).toEqual([
      "1/1",
      "2/1",
      "2/2",
      "3/1",
      "3/2",
      "4/1",
      "4/2",
      "5/1",
    ]);
    expect((await engine.millrace.deadLetters.list()).data.map(({ error }) => error.message).sort()).toEqual([
      "again and again",
      "never",
    ]);
  });

  test("fails all of them if it throws, each by its own retries", async () => {
    let calls = 0;
    const flow = workflow("flow", { input: number() }).batch("many", {
      ...{ size: 3, waitMs: 50, retry },
      run: (inputs) => {
        calls += 1;
        if (calls === 1) throw new Error("all of you");
        return inputs;
      },
    });
    await using engine = await engineUnderTest([flow], { partitions: 1 });
    await engine.worker();
    const runs = await ended(engine, await start(engine, "flow", [1, 2, 3]));
    expect(runs.map(({ output, steps }) => [output, steps.many!.attempt])).toEqual([
      [1, 2],
      [2, 2],
      [3, 2],
    ]);
  });

  test.each<[string, unknown, string]>([
    ["too few results", [1], "1"],
    ["no list", { 0: 1, 1: 2 }, "no list of"],
  ])("fails for good if its handler gives %s", async (_, given, said) => {
    const flow = workflow("flow", { input: number() }).batch("many", {
      ...{ size: 2, waitMs: NEVER_MS, retry },
      run: () => given as number[],
    });
    await using engine = await engineUnderTest([flow]);
    await engine.worker();
    for (const run of await ended(engine, await start(engine, "flow", [1, 2])))
      expect(run.error).toMatchObject({
        ...{ code: "batch_results", message: `A batch of 2 must give as many results, not ${said}.` },
      });
  });

  test("is told of one that is cancelled by that one's signal, and goes on with the others", async () => {
    const gates = new Gates();
    const aborted = Promise.withResolvers<string>();
    const flow = workflow("flow", { input: number() }).batch("many", {
      ...{ size: 2, waitMs: NEVER_MS },
      run: async (inputs, ctxs) => {
        for (const ctx of ctxs) ctx.signal.addEventListener("abort", () => aborted.resolve(ctx.run.id));
        for (const ctx of ctxs) ctx.emit("in it");
        await gates.pass("go", new AbortController().signal);
        return inputs;
      },
    });
    await using engine = await engineUnderTest([flow]);
    await engine.worker();
    const [first, second] = await start(engine, "flow", [1, 2]);
    await engine.until(first!, ({ type }) => type === "step.output");
    await engine.millrace.runs.cancel(first!);
    expect(await aborted.promise).toBe(first);
    gates.open("go");
    expect(await ended(engine, [first!, second!])).toMatchObject([
      { status: "cancelled" },
      { status: "completed", output: 2 },
    ]);
  });

  test("that is half full is called at once when the worker stops", async () => {
    const flow = workflow("flow", { input: number() }).batch("many", {
      ...{ size: 10, waitMs: NEVER_MS },
      run: (inputs) => inputs.map((n) => n + 1),
    });
    await using engine = await engineUnderTest([flow]);
    const worker = await engine.worker({ drainMs: 10_000 });
    const ids = await start(engine, "flow", [1, 2]);
    for (const id of ids) await engine.until(id, ({ type }) => type === "step.started");
    await worker.stop();
    expect((await ended(engine, ids)).map(({ output }) => output)).toEqual([2, 3]);
  });

  test("has each entry's lease and fence by itself: one that is lost is run again, and its result is dropped", async () => {
    const gates = new Gates();
    const redis = rawRedis();
    const calls: [number, number][] = [];
    const flow = workflow("flow", { input: number() }).batch("many", {
      ...{ size: 2, waitMs: 20 },
      run: async (inputs, ctxs) => {
        for (const [i, ctx] of ctxs.entries()) calls.push([inputs[i]!, ctx.attempt]);
        const lost = ctxs.find((ctx, i) => inputs[i] === 1 && ctx.attempt === 1);
        if (lost !== undefined) {
          const stream = new NamespaceKeys(engine.namespace).partition(0).step(flow.graph, "many");
          await redis.xclaim(stream, "workers", "dead", 0, lost.fence.split(":")[0]!, "IDLE", 1_000);
          await gates.pass("never", lost.signal).catch(() => {});
        }
        return inputs.map((n, i) => `${n}/${ctxs[i]!.attempt}`);
      },
    });
    await using engine = await engineUnderTest([flow], { partitions: 1 });
    await engine.worker({ leaseMs: 300 });
    const runs = await ended(engine, await start(engine, "flow", [1, 2]));
    expect(runs.map(({ output }) => output)).toEqual([expect.stringMatching(/^1\/[23]$/), "2/1"]);
  });

  test("takes the elements of maps, of several runs", async () => {
    const sizes: number[] = [];
    const flow = workflow("flow", { input: array(number()) }).map("double", {
      over: (list) => list,
      batch: { size: 6, waitMs: NEVER_MS },
      onItemFailure: "collect",
      run: (numbers, ctxs) => {
        sizes.push(numbers.length);
        return numbers.map((n, i) => (n < 0 ? new FatalError("negative") : { twice: 2 * n, item: ctxs[i]!.item }));
      },
    });
    await using engine = await engineUnderTest([flow]);
    await engine.worker();
    const inputs = [
      [1, 2, 3],
      [4, -5, 6],
    ];
    const ids = await Promise.all(inputs.map(async (list) => (await engine.millrace.runs.start(flow, list)).id));
    const runs = await ended(engine, ids);
    const ok = (n: number, item: number) => ({ ok: true, output: { twice: n, item } });
    const negative = { ok: false, error: { name: "FatalError", message: "negative", code: "fatal" } };
    expect(runs.map(({ output }) => output)).toEqual([
      [ok(2, 0), ok(4, 1), ok(6, 2)],
      [ok(8, 0), negative, ok(12, 2)],
    ]);
    expect(sizes).toEqual([6]);
  });
});
