import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { UnconfirmedError } from "../../engine/index.ts";
import { allRuns, keysFrom, startAll } from "../support/confirmed.ts";
import { counting } from "../support/counting.ts";
import { engineUnderTest } from "../support/engine-under-test.ts";
import { rawRedis, redisUrl } from "../support/redis.ts";
import { type RestartableRedis, restartableRedis } from "../support/restartable-redis.ts";
import { aclRedis } from "../support/servers/acl.ts";

let redis: RestartableRedis;
beforeAll(async () => {
  redis = await restartableRedis();
});
afterAll(() => redis[Symbol.asyncDispose]());

const replicas = { replicas: 1, timeoutMs: 20 };

describe("each way to start a run", () => {
  test("says so when it is not confirmed, and makes no second run for its key", async () => {
    await using engine = await engineUnderTest([counting], { url: redis.url, durability: replicas });
    await using easy = await engineUnderTest([counting], { url: redis.url, namespace: engine.namespace });
    await easy.worker();
    const { runs, schedules } = engine.millrace;
    const ended = await easy.run(counting, { n: 1 });
    await engine.millrace.schedules.create({ name: "nightly", workflow: counting, input: { n: 1 }, cron: "0 0 1 1 *" });
    const idempotency = (key: string) => ({ idempotency: { scope: "ways", key, digest: key } });
    const dedupe = (mode: "simple" | "debounce") => ({ dedupe: { mode, key: "k", windowMs: 60_000 } });
    const ways: [string, () => Promise<unknown>][] = [
      ["start", () => runs.start(counting, { n: 1 }, idempotency("start"))],
      ["dedupe", () => runs.start(counting, { n: 1 }, dedupe("simple"))],
      ["both", () => runs.start(counting, { n: 1 }, { ...dedupe("simple"), ...idempotency("both") })],
      ["debounce", () => runs.start(counting, { n: 1 }, dedupe("debounce"))],
      ["rerun", () => runs.rerun(ended.id, { from: "two", ...idempotency("rerun") })],
      ["trigger", () => schedules.trigger("nightly", idempotency("trigger"))],
    ];
    for (const [way, start] of ways) {
      const first = await start().catch((error: unknown) => error);
      expect(first, way).toBeInstanceOf(UnconfirmedError);
      expect(await start().catch((error: unknown) => error), way).toMatchObject({
        ...{ code: "unconfirmed", run: (first as UnconfirmedError).run },
      });
      // It is stored, and goes on.
      expect(await runs.get((first as UnconfirmedError).run), way).toMatchObject({ workflow: "counting" });
    }
    // `both` is the run of `dedupe`.
    expect(await allRuns(engine.millrace)).toHaveLength(ways.length);
  });

  test("that finds a run by its deduplication key has that confirmed", async () => {
    await using easy = await engineUnderTest([counting], { url: redis.url });
    const { id } = await easy.millrace.runs.start(
      counting,
      { n: 1 },
      { dedupe: { mode: "simple", key: "k", windowMs: 60_000 } },
    );
    await using engine = await engineUnderTest([counting], {
      ...{ url: redis.url, namespace: easy.namespace, durability: replicas },
    });
    const start = () =>
      engine.millrace.runs.start(counting, { n: 1 }, { dedupe: { mode: "simple", key: "k", windowMs: 60_000 } });
    await expect(start()).rejects.toMatchObject({
      code: "unconfirmed",
      run: id,
      message: expect.stringContaining("0 of 1"),
    });
  });

  test("waits for nobody on a schedule's tick, which tells nobody", async () => {
    await using engine = await engineUnderTest([counting], { url: redis.url, durability: replicas });
    await engine.worker();
    await engine.millrace.schedules.create({
      name: "once",
      workflow: counting,
      input: { n: 1 },
      at: new Date(Date.now() + 500),
    });
    const once = () => engine.millrace.schedules.get("once");
    await expect.poll(once).toMatchObject({ status: "ended" });
    const { lastRun, lastError } = await once();
    expect(lastError).toBeUndefined();
    expect(await engine.ended(lastRun!)).toMatchObject({ status: "completed" });
  });
});

test("what waits holds up nothing else, and a wait is shared", async () => {
  await using engine = await engineUnderTest([counting], {
    ...{ url: redis.url, durability: { replicas: 1, timeoutMs: 1_500 } },
  });
  const begun = performance.now();
  const starts = startAll(engine.millrace, keysFrom("k", 50));
  const client = rawRedis(redis.url);
  await expect.poll(() => client.info("clients")).toContain("blocked_clients:1");
  await engine.millrace.runs.list();
  expect(performance.now() - begun).toBeLessThan(1_400);
  // The first waits alone, and all that came meanwhile together.
  expect((await starts).unconfirmed.size).toBe(50);
  expect(performance.now() - begun).toBeLessThan(4_500);
});

describe("at connect", () => {
  const connecting = (url: string, durability?: "disk" | "memory" | { replicas: number }) =>
    engineUnderTest([counting], { url, ...(durability === undefined ? {} : { durability }) });

  test("disk is what a server has that fsyncs each write before its reply", async () => {
    await using always = await restartableRedis({ args: ["--appendfsync", "always"] });
    for (const durability of ["disk", undefined] as const) {
      await using engine = await connecting(always.url, durability);
      expect(await engine.millrace.runs.start(counting, { n: 1 })).toMatchObject({ durability: "disk" });
    }
  });

  test("disk is refused by a server without an append-only file", async () => {
    await using none = await restartableRedis({ appendOnly: false });
    await expect(connecting(none.url, "disk")).rejects.toMatchObject({
      code: "durability",
      message: expect.stringMatching(/append-only file is off.*version \d/),
    });
    await using engine = await connecting(none.url, "memory");
    expect(await engine.millrace.runs.start(counting, { n: 1 })).toMatchObject({ durability: "memory" });
  });

  test("disk takes WAITAOF where fsyncs are put off, and is refused without it", async ({ skip }) => {
    const client = rawRedis(redis.url);
    const has = (await client.call("COMMAND", "INFO", "WAITAOF")) as unknown[];
    if (has[0] === null) {
      await expect(connecting(redis.url, "disk")).rejects.toMatchObject({
        code: "durability",
        message: expect.stringMatching(/appendfsync everysec.*unknown command/i),
      });
      skip("this server has no WAITAOF, which came with Redis 7.2");
    }
    await using engine = await connecting(redis.url, "disk");
    const { confirmed } = await startAll(engine.millrace, keysFrom("k", 20));
    expect(new Set([...confirmed.values()].map(({ durability }) => durability))).toEqual(new Set(["disk"]));
    await client.config("SET", "appendonly", "no");
    expect((await startAll(engine.millrace, ["late"])).unconfirmed.size).toBe(1);
    await client.config("SET", "appendonly", "yes");
  });

  test.each(["allkeys-lru", "allkeys-lfu", "allkeys-random"])("maxmemory-policy %s is refused", async (policy) => {
    const client = rawRedis(redis.url);
    await client.config("SET", "maxmemory-policy", policy);
    try {
      await expect(connecting(redis.url)).rejects.toMatchObject({
        code: "eviction_policy",
        message: expect.stringContaining(policy),
      });
    } finally {
      await client.config("SET", "maxmemory-policy", "noeviction");
    }
  });

  test("volatile-lru is not", async () => {
    const client = rawRedis(redis.url);
    await client.config("SET", "maxmemory-policy", "volatile-lru");
    await using _engine = await connecting(redis.url);
    await client.config("SET", "maxmemory-policy", "noeviction");
  });

  test("a user who may not ask is promised memory, and refused what cannot be known", async () => {
    await using acl = await aclRedis();
    await acl.set("app", "on", ">secret", "~*", "&*", "+@all", "-info", "-config", "-wait");
    const url = acl.as("app", "secret");
    await using engine = await connecting(url);
    expect(await engine.millrace.runs.start(counting, { n: 1 })).toMatchObject({ durability: "memory" });
    await expect(connecting(url, { replicas: 1 })).rejects.toMatchObject({ code: "durability" });
    await expect(connecting(url, "disk")).rejects.toMatchObject({ code: "durability" });
  });

  test("a bad option names what it takes", async () => {
    await expect(connecting(redisUrl, { replicas: 0 })).rejects.toMatchObject({ code: "bad_option" });
  });
});
