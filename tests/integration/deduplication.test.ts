import * as v from "valibot";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type StartOptions, workflow } from "../../engine/index.ts";
import { NamespaceKeys } from "../../engine/keys.ts";
import { type EngineUnderTest, engineUnderTest } from "../support/engine-under-test.ts";
import { rawRedis } from "../support/redis.ts";
import { keysLike } from "../support/redis-client.ts";

const echo = workflow("echo", { input: v.object({ n: v.number() }) }).step("say", ({ n }) => n);
const other = workflow("other", { input: v.object({ n: v.number() }) }).step("say", ({ n }) => n);
let engine: EngineUnderTest;
beforeEach(async () => {
  engine = await engineUnderTest([echo, other], { partitions: 1 });
});
afterEach(() => engine[Symbol.asyncDispose]());

const start = (n: number, options?: StartOptions) => engine.millrace.runs.start(echo, { n }, options);
const get = (id: string) => engine.millrace.runs.get(id);
const ms = (time: string | undefined) => Date.parse(time!);
const all = async () => (await engine.millrace.runs.list({ limit: 100 })).data;
const atOnce = (options: StartOptions) => Promise.all(Array.from({ length: 50 }, (_, n) => start(n, options)));

describe("simple", () => {
  const simple = (windowMs?: number): StartOptions => ({ dedupe: { key: "k", mode: "simple", windowMs } });

  test("gives the run that is live, to 50 at once, and a new one when it has ended", async () => {
    const runs = await atOnce(simple());
    expect(new Set(runs.map(({ id }) => id)).size).toBe(1);
    expect(runs.filter(({ created }) => created)).toHaveLength(1);
    await engine.worker();
    const { id } = runs[0]!;
    await engine.ended(id);
    const again = await start(1, simple());
    expect(again).toMatchObject({ created: true });
    expect(again.id).not.toBe(id);
    expect(await all()).toHaveLength(2);
  });

  test("within its window gives the run that has ended as well", async () => {
    await engine.worker();
    const { id } = await start(1, simple(60_000));
    await engine.ended(id);
    expect(await start(2, simple(60_000))).toMatchObject({ id, created: false, status: "completed" });
  });

  test("takes up a run that the start which had its key did not come to store", async () => {
    const { id } = await start(1, simple());
    const keys = new NamespaceKeys(engine.namespace).partition(0);
    await rawRedis().del(keys.run(id), keys.log(id), keys.step({ workflow: "echo", version: 1 }, "say"));
    expect(await start(2, simple())).toMatchObject({ id, created: true });
    expect(await get(id)).toMatchObject({ input: { n: 2 } });
  });

  test("tells keys, workflows, modes and tenants apart", async () => {
    const ids = new Set([
      (await start(1, simple())).id,
      (await start(1, { dedupe: { key: "l", mode: "simple" } })).id,
      (await start(1, { dedupe: { key: "k", mode: "throttle", windowMs: 60_000 } })).id,
      (await start(1, { ...simple(), tenant: "acme" })).id,
      (await engine.millrace.runs.start(other, { n: 1 }, simple())).id,
    ]);
    expect(ids.size).toBe(5);
  });

  test("with an Idempotency-Key, the key stands for what came of the first call", async () => {
    const idempotency = { scope: "s", key: "i", digest: "d" };
    const { id } = await start(1, simple());
    expect(await start(2, { ...simple(), idempotency })).toMatchObject({ id, created: false });
    await engine.millrace.runs.cancel(id);
    expect(await start(2, { ...simple(), idempotency })).toMatchObject({ id, created: false, status: "cancelled" });
    expect(await start(2, simple())).toMatchObject({ created: true });
  });
});

test("throttle gives one run per window, ended or not", async () => {
  await engine.worker();
  const throttle: StartOptions = { dedupe: { key: "k", mode: "throttle", windowMs: 60_000 } };
  const runs = await atOnce(throttle);
  expect(new Set(runs.map(({ id }) => id)).size).toBe(1);
  const { id } = runs[0]!;
  await engine.ended(id);
  expect(await start(1, throttle)).toMatchObject({ id, created: false });
  // The window is over.
  const redis = rawRedis();
  const [key] = await keysLike(redis, `{${engine.namespace}:0}:dedupe:*`);
  await redis.hset(key!, "until", 1);
  const next = await atOnce(throttle);
  expect(new Set(next.map((run) => run.id)).size).toBe(1);
  expect(next[0]!.id).not.toBe(id);
  expect(await all()).toHaveLength(2);
});

describe("debounce", () => {
  const debounce = (windowMs: number, maxWaitMs?: number): StartOptions => {
    return { dedupe: { key: "k", mode: "debounce", windowMs, maxWaitMs } };
  };

  test("makes one run of many, with the last input, once no more come", async () => {
    const runs = await atOnce(debounce(60_000));
    expect(new Set(runs.map(({ id }) => id)).size).toBe(1);
    expect(runs.filter(({ created }) => created)).toHaveLength(1);
    const { id } = runs[0]!;
    const before = await get(id);
    expect(await start(99, { ...debounce(300), metadata: { last: true } })).toMatchObject({ id, created: false });
    const after = await get(id);
    expect(after).toMatchObject({
      input: { n: 99 },
      metadata: { last: true },
      steps: { say: { status: "waiting" } },
    });
    expect(ms(after.startsAt)).toBeLessThan(ms(before.startsAt));
    await engine.worker();
    expect(await engine.ended(id)).toMatchObject({ status: "completed", output: 99 });
    expect(await all()).toHaveLength(1);
  });

  test("puts a run off, but not past the longest wait", async () => {
    const { id } = await start(1, debounce(60_000, 61_000));
    const before = await get(id);
    expect(ms(before.startsAt)).toBe(ms(before.createdAt) + 60_000);
    await start(2, debounce(30_000, 30_000));
    expect(ms((await get(id)).startsAt)).toBe(ms(before.createdAt) + 30_000);
  });

  test("makes a new run of what comes once it has started, or was cancelled", async () => {
    await engine.worker();
    const first = await start(1, debounce(1));
    await engine.ended(first.id);
    const second = await start(2, debounce(60_000));
    expect(second).toMatchObject({ created: true });
    await engine.millrace.runs.cancel(second.id);
    const third = await start(3, debounce(60_000));
    expect(third).toMatchObject({ created: true });
    expect(new Set([first.id, second.id, third.id]).size).toBe(3);
  });

  test("a call that is repeated with its Idempotency-Key gives its run, and puts nothing off", async () => {
    const options = { ...debounce(60_000), idempotency: { scope: "s", key: "i", digest: "d" } };
    const { id } = await start(1, options);
    await start(2, debounce(60_000));
    const before = await get(id);
    expect(await start(1, options)).toMatchObject({ id, created: false });
    expect(await get(id)).toEqual(before);
  });
});
