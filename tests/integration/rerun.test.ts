import { readdir } from "node:fs/promises";
import * as v from "valibot";
import { afterEach, describe, expect, expectTypeOf, test } from "vitest";
import { FsBlobStore } from "../../engine/blobs/fs.ts";
import {
  type AnyWorkflow,
  bodyOf,
  connect,
  createWorker,
  FatalError,
  readBlob,
  type StartedRun,
  workflow,
} from "../../engine/index.ts";
import { type EngineUnderTest, engineUnderTest } from "../support/engine-under-test.ts";
import { redisUrl } from "../support/redis.ts";
import { temporaryDir } from "../support/run.ts";

let bench: EngineUnderTest;
let dir: string;
afterEach(() => bench[Symbol.asyncDispose]());

async function open(...workflows: AnyWorkflow[]): Promise<EngineUnderTest["millrace"]["runs"]> {
  dir = await temporaryDir();
  bench = await engineUnderTest(workflows, { blobs: new FsBlobStore(dir) });
  await bench.worker();
  return bench.millrace.runs;
}
const files = async () =>
  (await readdir(dir, { recursive: true, withFileTypes: true })).filter((each) => each.isFile());

/** Counts how often each step ran. */
function counted() {
  const calls = { a: 0, b: 0, c: 0 };
  const definition = workflow("counted", { input: v.object({ n: v.pipe(v.number(), v.minValue(0)) }) })
    .step("a", ({ n }) => {
      calls.a += 1;
      return n + 1;
    })
    .step("b", (n) => {
      calls.b += 1;
      if (n > 100) throw new FatalError("too much");
      return n * 10;
    })
    .step("c", (n, ctx) => {
      calls.c += 1;
      ctx.progress(0.5, "half way");
      return `${n}`;
    });
  return { calls, definition };
}

describe("a run that is run again from a step", () => {
  test("is a new run that keeps what came before, and runs that step and what follows", async () => {
    const { calls, definition } = counted();
    const runs = await open(definition);
    const { id } = await runs.start(definition, { n: 1 }, { metadata: { ticket: 7 } });
    const first = await bench.ended(id);
    const again = await runs.rerun(id, { from: "b" });
    expectTypeOf(again).toEqualTypeOf<StartedRun>();
    expect(again).toEqual({
      ...{ id: expect.any(String), workflow: "counted", version: 1, status: "queued", created: true },
      durability: expect.any(String),
    });
    const second = await bench.ended(again.id);
    expect(second).toMatchObject({
      ...{ status: "completed", input: { n: 1 }, output: "20", metadata: { ticket: 7, rerunOf: id } },
      steps: { a: first.steps.a, b: { status: "completed", attempt: 1 } },
    });
    expect(calls).toEqual({ a: 1, b: 2, c: 2 });
    const events = await bench.events(again.id);
    expect(events.map(({ type, step }) => step ?? type)).toEqual([
      ...["run.queued", "run.started", "b", "b", "c", "c", "c", "run.completed"],
    ]);
    expect(await runs.get(id)).toEqual(first);
    expect((await runs.list({ workflow: "counted" })).data.map((run) => run.id)).toEqual([again.id, id]);
  });

  test("is given another input at that step", async () => {
    const { calls, definition } = counted();
    const runs = await open(definition);
    const run = await bench.run(definition, { n: 500 });
    expect(run.status).toBe("failed");
    const again = await bench.ended((await runs.rerun(run.id, { from: "b", input: 5 })).id);
    expect(again).toMatchObject({ status: "completed", output: "50", steps: { a: { output: 501 } } });
    expect(calls).toEqual({ a: 1, b: 2, c: 1 });
    // What it was given by hand is its input the next time as well.
    expect(await bench.ended((await runs.rerun(again.id, { from: "b" })).id)).toMatchObject({ output: "50" });
    const changed = await runs.rerun(run.id, { from: "a", input: { n: 2 } });
    expect(await bench.ended(changed.id)).toMatchObject({ status: "completed", output: "30" });
    await expect(runs.rerun(run.id, { from: "a", input: { n: -2 } })).rejects.toMatchObject({ code: "invalid_input" });
  });

  test("has the tags of the run that it is of, and is found by each", async () => {
    const { definition } = counted();
    const runs = await open(definition);
    const tags = ["customer:7", "nightly"];
    const { id } = await runs.start(definition, { n: 1 }, { tags, priority: "low" });
    await bench.ended(id);
    const again = await runs.rerun(id, { from: "c" });
    expect(await bench.ended(again.id)).toMatchObject({ tags, priority: "low", output: "20" });
    const tagged = async (tag: string) => (await runs.list({ tag, status: "completed" })).data.map((run) => run.id);
    for (const tag of tags) expect(await tagged(tag)).toEqual([again.id, id]);
    const more = await runs.rerun(again.id, { from: "a" });
    await bench.ended(more.id);
    for (const gone of [id, again.id]) await runs.delete(gone);
    expect(await tagged("nightly")).toEqual([more.id]);
  });

  test("is refused from a step that it never reached, or from none", async () => {
    const { definition } = counted();
    const runs = await open(definition);
    const failed = await bench.run(definition, { n: 500 });
    await expect(runs.rerun(failed.id, { from: "c" })).rejects.toThrow(
      `Run ${failed.id} cannot begin again from c: before it, b had not completed.`,
    );
    await expect(runs.rerun(failed.id, { from: "x" })).rejects.toMatchObject({
      code: "invalid_input",
      issues: [{ path: ["from"], message: 'Version 1 of counted has no step "x": it has a, b, c' }],
    });
    await expect(runs.rerun(failed.id, { from: "b", tenant: "acme" })).rejects.toMatchObject({ code: "not_found" });
  });

  test("is refused while it is live", async () => {
    const { definition } = counted();
    bench = await engineUnderTest([definition]);
    const { runs } = bench.millrace;
    const { id } = await runs.start(definition, { n: 1 });
    await expect(runs.rerun(id, { from: "a" })).rejects.toMatchObject({ code: "run_live", name: "ConflictError" });
    await runs.cancel(id);
    expect(await runs.rerun(id, { from: "a" })).toMatchObject({ created: true });
  });

  test("with an idempotency key is made once", async () => {
    const { definition } = counted();
    const runs = await open(definition);
    const { id } = await bench.run(definition, { n: 1 });
    const idempotency = { scope: "reruns", key: "k", digest: "d" };
    const made = await Promise.all(Array.from({ length: 5 }, () => runs.rerun(id, { from: "b", idempotency })));
    expect(new Set(made.map((run) => run.id)).size).toBe(1);
    expect(made.filter(({ created }) => created)).toHaveLength(1);
    await bench.ended(made[0]!.id);
    expect(await runs.rerun(id, { from: "b", idempotency })).toMatchObject({ id: made[0]!.id, created: false });
    expect((await runs.list()).data).toHaveLength(2);
    await expect(runs.rerun(id, { from: "a", idempotency: { ...idempotency, digest: "other" } })).rejects.toMatchObject(
      { code: "idempotency_mismatch" },
    );
  });

  test("goes on with the newest version if that is asked for, with what steps of the same name had come to", async () => {
    const old = counted().definition;
    const next = workflow("counted", { version: 2, input: v.object({ n: v.number() }) })
      .step("a", ({ n }) => n)
      .step("b2", (n) => `${n} in the new way`);
    await open(old);
    const run = await bench.run(old, { n: 1 });
    const newer = await connect({ url: redisUrl, namespace: bench.namespace, workflows: [old, next] });
    const worker = createWorker(newer);
    await worker.start();
    await expect(newer.runs.rerun(run.id, { from: "b2" })).rejects.toMatchObject({ code: "invalid_input" });
    const again = await newer.runs.rerun(run.id, { from: "b2", newest: true });
    expect(again).toMatchObject({ version: 2, created: true });
    await bench.events(again.id);
    expect(await newer.runs.get(again.id)).toMatchObject({ status: "completed", output: "2 in the new way" });
    await worker.stop();
    await newer.close();
  });
});

describe("what a run had in the blob store", () => {
  test("is the new run's as well, until both are gone", async () => {
    const large = workflow("large", { input: v.any() })
      .step("make", async (_, ctx) => {
        const { tenant } = ctx.run;
        const { id } = await ctx.blobs.put({ tenant, name: "a.txt", type: "text/plain" }, bodyOf("made"));
        return { id, large: "x".repeat(50_000) };
      })
      .step("use", async ({ id, large: text }, ctx) => {
        const made = new TextDecoder().decode(await readBlob(ctx.blobs, ctx.run.tenant, id));
        return `${made} ${text.length}`;
      });
    const runs = await open(large);
    const first = await bench.run(large, "y".repeat(40_000));
    const started = await runs.rerun(first.id, { from: "use", input: undefined });
    await bench.ended(started.id);
    await runs.delete(first.id);
    const second = await bench.ended((await runs.rerun(started.id, { from: "use" })).id);
    expect(second).toMatchObject({ status: "completed", output: "made 50000" });
    expect(second.input).toHaveLength(40_000);
    await runs.delete(started.id);
    expect(await runs.get(second.id)).toEqual(second);
    await runs.delete(second.id);
    expect(await files()).toEqual([]);
  });
});
