import * as v from "valibot";
import { afterEach, describe, expect, test } from "vitest";
import { FsBlobStore } from "../../engine/blobs/fs.ts";
import { type AnyWorkflow, FatalError, workflow } from "../../engine/index.ts";
import { NamespaceKeys } from "../../engine/keys.ts";
import { type EngineUnderTest, engineUnderTest } from "../support/engine-under-test.ts";
import { eventually } from "../support/gateway.ts";
import { rawRedis } from "../support/redis.ts";
import { temporaryDir } from "../support/run.ts";

let bench: EngineUnderTest;
afterEach(() => bench[Symbol.asyncDispose]());
const redis = rawRedis();

async function open(...workflows: AnyWorkflow[]): Promise<EngineUnderTest["millrace"]["deadLetters"]> {
  bench = await engineUnderTest(workflows, { blobs: new FsBlobStore(await temporaryDir()), partitions: 1 });
  return bench.millrace.deadLetters;
}

const input = v.object({ n: v.pipe(v.number(), v.minValue(0)) });

/** Doubles its number, then fails for one below `limit.least`. */
function picky() {
  const limit = { least: 1_000 };
  const definition = workflow("picky", { input })
    .step("double", ({ n }) => {
      if (n === 0) throw new FatalError("zero", { code: "zero" });
      return { n: n * 2 };
    })
    .step("check", {
      retry: { attempts: 3, baseMs: 0, maxMs: 0 },
      run: ({ n }, ctx) => {
        ctx.emit(`attempt ${ctx.attempt}`);
        if (n < limit.least)
          throw new TypeError(`${n} is too small`, { cause: new FatalError("rule 7", { code: "rule" }) });
        return n;
      },
    });
  return { limit, definition };
}

async function letterOf(run: string) {
  const { data } = await bench.millrace.deadLetters.list({ limit: 100 });
  return data.find((letter) => letter.run === run)!;
}

describe("a dead letter", () => {
  test("is shown with its step's input, its error and causes, and the attempts before", async () => {
    const { definition } = picky();
    const letters = await open(definition);
    await bench.worker();
    const run = await bench.run(definition, { n: 4 });
    const listed = await letterOf(run.id);
    expect(listed.error).toEqual({
      ...{ name: "TypeError", message: "8 is too small" },
      cause: { name: "FatalError", message: "rule 7", code: "rule" },
    });
    const shown = await letters.get(listed.id);
    expect(shown).toEqual({
      ...listed,
      error: { ...listed.error, stack: expect.stringContaining("dead-letters.test.ts") },
      input: { n: 8 },
      history: [1, 2, 3].map((attempt) => ({
        ...{ attempt, at: expect.stringMatching(/Z$/), error: listed.error },
        ...(attempt < 3 ? { retryAt: expect.stringMatching(/Z$/) } : {}),
      })),
    });
    await expect(letters.get(listed.id, { tenant: "acme" })).rejects.toMatchObject({ code: "not_found" });
    await expect(letters.get("x")).rejects.toMatchObject({ code: "not_found" });
  });

  test("shows the last ten attempts, those before a replay among them, and reads no more than it must", async () => {
    let noise = 0;
    const noisy = workflow("noisy", { input: v.any() }).step("s", {
      retry: { attempts: 7, baseMs: 0, maxMs: 0 },
      run: (_, ctx) => {
        for (let i = 0; i < noise; i++) ctx.emit({ i });
        throw new Error(`attempt ${ctx.attempt}`);
      },
    });
    const letters = await open(noisy);
    await bench.worker();
    const run = await bench.run(noisy, 1);
    await letters.replay((await letterOf(run.id)).id);
    await bench.events(run.id, run.seq);
    const messages = async () => {
      const { history } = await letters.get((await letterOf(run.id)).id);
      return history.map(({ error }) => error.message.slice(-1)).join("");
    };
    expect(await messages()).toBe("5671234567");
    noise = 700;
    const { seq } = await bench.millrace.runs.get(run.id);
    await letters.replay((await letterOf(run.id)).id);
    await bench.events(run.id, seq);
    // Seven attempts of 700 events: the last 2,000 hold the ends of three.
    expect(await messages()).toBe("567");
  });

  test("has no input where its blob is gone", async () => {
    const large = workflow("large", { input: v.any() })
      .step("a", () => "x".repeat(50_000))
      .step("b", () => {
        throw new FatalError("no");
      });
    const letters = await open(large);
    await bench.worker();
    const run = await bench.run(large, 1);
    const { id } = await letterOf(run.id);
    expect((await letters.get(id)).input).toHaveLength(50_000);
    await bench.millrace.blobs.deleteOf("default", run.id);
    expect(await letters.get(id)).not.toHaveProperty("input");
  });
});

describe("a replay with another input", () => {
  test("gives the step that, and what comes after it goes on from there", async () => {
    const { definition } = picky();
    const letters = await open(definition);
    await bench.worker();
    const run = await bench.run(definition, { n: 4 });
    await letters.replay((await letterOf(run.id)).id, { input: { n: 3_000 } });
    await bench.events(run.id, run.seq);
    expect(await bench.millrace.runs.get(run.id)).toMatchObject({
      status: "completed",
      input: { n: 4 },
      output: 3_000,
    });
  });

  test("is kept for the next replay and shown, large ones too", async () => {
    const { definition, limit } = picky();
    const letters = await open(definition);
    await bench.worker();
    const run = await bench.run(definition, { n: 4 });
    const changed = { n: 999, note: "x".repeat(50_000) };
    await letters.replay((await letterOf(run.id)).id, { input: changed });
    await bench.events(run.id, run.seq);
    const again = await letterOf(run.id);
    expect((await letters.get(again.id)).input).toEqual(changed);
    limit.least = 0;
    const { seq } = await bench.millrace.runs.get(run.id);
    await letters.replay(again.id);
    await bench.events(run.id, seq);
    expect(await bench.millrace.runs.get(run.id)).toMatchObject({ status: "completed", output: 999 });
  });

  test("is refused where the workflow's schema does, or JSON; then nothing has changed", async () => {
    const { definition } = picky();
    const letters = await open(definition);
    await bench.worker();
    const run = await bench.run(definition, { n: 0 });
    const { id } = await letterOf(run.id);
    await expect(letters.replay(id, { input: { n: -1 } })).rejects.toMatchObject({ code: "invalid_input" });
    await expect(letters.replay(id, { input: 1n })).rejects.toMatchObject({ code: "invalid_input" });
    expect(await bench.millrace.runs.get(run.id)).toEqual(run);
    await letters.replay(id, { input: { n: 600 } });
    await bench.events(run.id, run.seq);
    expect(await bench.millrace.runs.get(run.id)).toMatchObject({ status: "completed", output: 1_200 });
  });
});

describe("many dead letters", () => {
  test("are listed by what they died of, and when", async () => {
    const { definition } = picky();
    const letters = await open(definition);
    await bench.worker();
    const zero = await bench.run(definition, { n: 0 });
    const small = await bench.run(definition, { n: 1 });
    const [first, second] = [await letterOf(zero.id), await letterOf(small.id)];
    const ids = async (filter: Parameters<typeof letters.list>[0]) =>
      (await letters.list(filter)).data.map(({ id }) => id);
    expect(await ids({ errorCode: "zero" })).toEqual([first.id]);
    expect(await ids({ errorCode: "other" })).toEqual([]);
    expect(await ids({ before: new Date(second.at) })).toEqual([first.id]);
    expect(await ids({ after: new Date(second.at) })).toEqual([second.id]);
    expect(await ids({ after: new Date(first.at), before: new Date(Date.parse(second.at) + 1) })).toHaveLength(2);
    await expect(letters.list({ before: new Date("never") })).rejects.toMatchObject({ code: "invalid_input" });
    await expect(letters.replayMany({ after: new Date("never") })).rejects.toMatchObject({ code: "invalid_input" });
    await expect(letters.replayMany({}, { limit: 0 })).rejects.toMatchObject({ code: "invalid_input" });
  });

  /** So many runs that have failed at their first step. */
  async function failed(definition: AnyWorkflow, count: number): Promise<string[]> {
    const worker = await bench.worker({ concurrency: 100 });
    const { runs } = bench.millrace;
    const ids = await Promise.all(
      Array.from({ length: count }, async () => (await runs.start(definition, { n: 0 })).id),
    );
    await eventually(
      async () => (await bench.millrace.queues())[0]!.dead,
      (dead) => dead === count,
    );
    await worker.stop();
    return ids;
  }
  const over = (id: string) =>
    eventually(
      () => bench.millrace.deadLetters.operation(id),
      ({ status }) => status === "done",
    );

  test("are replayed, the first hundred at once and the rest by workers; those that die again only once", async () => {
    const { definition } = picky();
    const letters = await open(definition);
    await failed(definition, 250);
    const started = await letters.replayMany({ workflow: "picky", errorCode: "zero" });
    expect(started).toMatchObject({ kind: "replay", status: "running", matched: 100, done: 100 });
    expect(await letters.operation(started.id)).toEqual(started);
    expect((await bench.millrace.queues())[0]).toMatchObject({ depth: 100, dead: 150 });
    await bench.worker({ concurrency: 100 });
    expect(await over(started.id)).toMatchObject({ matched: 250, done: 250, endedAt: expect.stringMatching(/Z$/) });
    await eventually(
      async () => (await bench.millrace.queues())[0]!,
      ({ depth, inFlight, dead }) => depth + inFlight === 0 && dead === 250,
    );
  });

  test("are discarded as far as a limit allows", async () => {
    const { definition } = picky();
    const letters = await open(definition);
    await failed(definition, 7);
    expect(await letters.discardMany({ step: "check" })).toMatchObject({ status: "done", matched: 0, done: 0 });
    expect(await letters.discardMany({}, { limit: 5 })).toMatchObject({
      kind: "discard",
      status: "done",
      matched: 5,
      done: 5,
    });
    expect((await letters.list()).data).toHaveLength(2);
    expect(await letters.discardMany({ after: new Date(Date.now() + 60_000) })).toMatchObject({ matched: 0 });
    expect(await letters.discardMany({ before: new Date(1) })).toMatchObject({ matched: 0 });
    expect(await letters.discardMany({ step: "double" })).toMatchObject({ status: "done", matched: 2, done: 2 });
  });

  test("an operation is a tenant's own, and is forgotten a day after its end", async () => {
    const letters = await open(picky().definition);
    const { id } = await letters.discardMany({});
    await expect(letters.operation(id, { tenant: "acme" })).rejects.toMatchObject({ code: "not_found" });
    await expect(letters.operation("none")).rejects.toMatchObject({ code: "not_found" });
    const keys = new NamespaceKeys(bench.namespace).partition(0);
    expect(Number(await redis.zscore(keys.timers(), `bulk|${id}`)) - Date.now()).toBeGreaterThan(86_000_000);
    await redis.hset(keys.operation(id), "endedAt", Date.now() - 86_400_000);
    await redis.zadd(keys.timers(), 1, `bulk|${id}`);
    await bench.worker();
    await eventually(
      () => redis.exists(keys.operation(id), keys.timers()),
      (left) => left === 0,
    );
  });
});
