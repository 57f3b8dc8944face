import { any } from "valibot";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { workflow } from "../../engine/index.ts";
import { NamespaceKeys } from "../../engine/keys.ts";
import { MemoryBlobs } from "../../engine/testing/memory-blobs.ts";
import { engineUnderTest } from "../support/engine-under-test.ts";
import { flushBut } from "../support/faults/losses.ts";
import { Gates } from "../support/gates.ts";
import { eventually } from "../support/gateway.ts";
import { rawRedis } from "../support/redis.ts";
import { keysLike } from "../support/redis-client.ts";
import { type RestartableRedis, restartableRedis } from "../support/restartable-redis.ts";

let server: RestartableRedis;
const redis = () => rawRedis(server.url);
beforeAll(async () => {
  server = await restartableRedis();
});
afterAll(() => server[Symbol.asyncDispose]());
beforeEach(async () => void (await redis().flushall()));

/** Waits until the walk of a partition is over and no process has it. */
const walkOver = (key: string) =>
  eventually(
    () => redis().hget(key, "position"),
    (position) => Boolean(position) && !JSON.parse(position!).at,
  );

const two = workflow("two", { input: any() })
  .step("a", (n) => n + 1)
  .step("b", (n) => 2 * n);

describe("by itself", () => {
  test("a worker that finds its stream gone puts back what was in it", async () => {
    const gates = new Gates();
    const held = workflow("held", { input: any() }).step("wait", (name, ctx) => gates.pass(name, ctx.signal));
    await using engine = await engineUnderTest([held], { url: server.url });
    await engine.worker({ concurrency: 1 });
    const first = await engine.millrace.runs.start(held, "first");
    await engine.until(first.id, ({ type }) => type === "step.started");
    const second = await engine.millrace.runs.start(held, "second");
    await redis().del(`{${engine.namespace}:0}:step:held@1:wait`);
    gates.open("first");
    gates.open("second");
    expect(await engine.ended(second.id)).toMatchObject({ status: "completed" });
    expect(await engine.ended(first.id)).toMatchObject({ status: "completed" });
  });

  test("a process that has the definitions stores graphs and the schema again", async () => {
    await using engine = await engineUnderTest([two], { url: server.url, partitions: 3 });
    const keys = new NamespaceKeys(engine.namespace);
    const was = await redis().hgetall(keys.graphs());
    const worker = await engine.worker();
    await redis().flushall();
    await worker.reconcile();
    expect(await redis().hgetall(keys.graphs())).toEqual(was);
    expect(await redis().hgetall(keys.meta())).toEqual({ schema: "2", partitions: "3" });
    expect(await engine.run(two, 1)).toMatchObject({ output: 4 });
  });

  test("one process at a time goes through a partition, and what one has gone through no other does", async () => {
    await using engine = await engineUnderTest([two], { url: server.url, partitions: 1 });
    const key = new NamespaceKeys(engine.namespace).partition(0).reconciler();
    await engine.worker();
    await walkOver(key);
    const position = await redis().hget(key, "position");
    await redis().hset(key, { owner: "another", until: Date.now() + 60_000 });
    const worker = await engine.worker();
    const asked = worker.reconcile();
    // Whose walk it is was asked, and the position is as it was.
    await eventually(
      () => redis().info("commandstats"),
      (stats) => Number(/cmdstat_evalsha:calls=(\d+)/.exec(stats)![1]) > 10,
    );
    expect(await redis().hgetall(key)).toMatchObject({ owner: "another", position });
    await redis().hset(key, "until", "0");
    await asked;
    expect(await redis().hget(key, "owner")).toBe(worker.id);
  });
});

describe("of everything but the records of runs", () => {
  const gates = new Gates();
  const child = workflow("child", { input: any() }).step("one", (n) => 10 * n);
  const shapes = workflow("shapes", { input: any() })
    .step("first", (n) => n)
    .step("flaky", {
      after: ["first"],
      retry: { baseMs: 100, maxMs: 100, jitter: "none" },
      run: (n, ctx) => {
        if (ctx.attempt === 1) throw new Error("once");
        return n;
      },
    })
    .sleep("sleep", { after: ["first"], for: 300 })
    .waitFor("signal", { after: ["first"], schema: any() })
    .waitFor("timeout", { after: ["first"], schema: any(), timeoutMs: 300 })
    .child("child", { after: ["first"], workflow: child, input: (n) => n })
    .map("map", {
      after: ["first"],
      over: () => [1, 2, 3],
      run: (n, ctx) => gates.pass(ctx.run.id, ctx.signal).then(() => n),
    })
    .repeat("loop", { after: ["first"], run: (n) => n + 1, until: (n) => n > 3, max: 9 })
    .step("limited", { after: ["first"], limits: { concurrency: 2 }, run: (n) => n })
    .step("held", { after: ["first"], run: (n, ctx) => gates.pass(ctx.run.id, ctx.signal).then(() => n) })
    .step("join", {
      after: ["flaky", "sleep", "signal", "timeout", "child", "map", "loop", "limited", "held"],
      run: (all) => all,
    });

  test("runs of every shape end with what they would have come to", async () => {
    await using engine = await engineUnderTest([shapes], { url: server.url, partitions: 2 });
    const worker = await engine.worker();
    const { runs } = engine.millrace;
    const started = await Promise.all(
      [1, 2, 3, 4].map((n) =>
        runs.start(shapes, n, { priority: n % 2 ? "high" : "normal", tags: ["blue"], deadlineMs: 60_000 }),
      ),
    );
    for (const { id } of started)
      await engine.until(id, ({ type, step }) => type === "step.started" && step === "held");
    expect(await flushBut(redis(), "}:run:")).toBeGreaterThan(20);
    await worker.reconcile();
    for (const { id } of started) {
      await runs.signal(id, "signal", "yes");
      gates.open(id);
    }
    for (const [i, { id }] of started.entries()) {
      const n = i + 1;
      const output = {
        ...{ flaky: n, sleep: n, signal: "yes", timeout: { timedOut: true }, child: 10 * n, map: [1, 2, 3] },
        ...{ loop: Math.max(n + 1, 4), limited: n, held: n },
      };
      expect(
        await eventually(
          () => runs.get(id),
          ({ endedAt }) => endedAt !== undefined,
        ),
      ).toMatchObject({
        status: "completed",
        output,
      });
    }
    const page = await runs.list({ tag: "blue", status: "completed" });
    expect(new Set(page.data.map(({ id }) => id))).toEqual(new Set(started.map(({ id }) => id)));
    expect((await runs.list({ status: "running" })).data).toEqual([]);
    for (const queue of await engine.millrace.queues())
      expect(queue, queue.step).toMatchObject({ depth: 0, inFlight: 0, delayed: 0 });
  });

  test("runs that waited before any worker came, and runs that are being undone", async () => {
    const undone: string[] = [];
    const trip = workflow("trip", { input: any() })
      .step("book", {
        run: (n) => n,
        undo: (_, ctx) => gates.pass(`undo ${ctx.run.id}`, ctx.signal).then(() => void undone.push(ctx.run.id)),
      })
      .step("pay", () => gates.pass("never", new AbortController().signal));
    await using engine = await engineUnderTest([two, trip], { url: server.url, partitions: 1 });
    const { runs } = engine.millrace;
    const early = await runs.start(two, 1);
    const later = await runs.start(two, 2, { delayMs: 400 });
    await flushBut(redis(), "}:run:");
    const worker = await engine.worker({ drainMs: 0 });
    await worker.reconcile();
    const ended = (id: string) =>
      eventually(
        () => runs.get(id),
        ({ endedAt }) => endedAt !== undefined,
      );
    expect(await ended(early.id)).toMatchObject({ status: "completed", output: 4 });
    expect(await ended(later.id)).toMatchObject({ status: "completed", output: 6 });

    const { id } = await runs.start(trip, 1);
    await engine.until(id, ({ type, step }) => type === "step.started" && step === "pay");
    await runs.cancel(id);
    await engine.until(id, ({ type, data }) => type === "step.started" && data !== undefined);
    await flushBut(redis(), "}:run:");
    await worker.reconcile();
    gates.open(`undo ${id}`);
    expect(await ended(id)).toMatchObject({ status: "cancelled", steps: { book: { undo: { status: "completed" } } } });
    expect(undone).toContain(id);
  });
});

test("a schedule whose timer row is gone ticks again", async () => {
  await using engine = await engineUnderTest([two], { url: server.url });
  await engine.millrace.schedules.create({ name: "often", workflow: two, input: 1, every: 1_000 });
  const worker = await engine.worker();
  for (const key of await keysLike(redis(), "*:timers")) await redis().del(key);
  await worker.reconcile();
  const [run] = await eventually(
    async () => (await engine.millrace.runs.list({ workflow: "two" })).data,
    (runs) => runs.length > 0,
  );
  expect(await engine.ended(run!.id)).toMatchObject({ status: "completed", output: 4 });
});

test("from a backup that is older than they are, runs go on from where they were; a blob that is gone is said to be", async () => {
  const gates = new Gates();
  const blobs = new MemoryBlobs();
  const large = "x".repeat(40_000);
  const flow = workflow("flow", { input: any() })
    .step("make", (n) => (n === 1 ? large : n))
    .step("held", async (value, ctx) => {
      await gates.pass(ctx.run.id, ctx.signal);
      return value;
    })
    .step("end", (value) => String(value).length);
  await using engine = await engineUnderTest([flow], { url: server.url, blobs });
  const worker = await engine.worker();
  const started: { id: string }[] = [];
  for (const n of [1, 2, 3]) started.push(await engine.millrace.runs.start(flow, n));
  for (const { id } of started) await engine.until(id, ({ type, step }) => type === "step.started" && step === "held");
  // Not with the first worker's hold of the walk in it, which others would wait for until it lapses.
  await walkOver(new NamespaceKeys(engine.namespace).partition(0).reconciler());
  const backup = await Promise.all(
    (await redis().keys("*")).map(async (key) => [key, await redis().dumpBuffer(key)] as const),
  );
  for (const { id } of started) gates.open(id);
  for (const { id } of started) expect(await engine.ended(id)).toMatchObject({ status: "completed" });
  await worker.stop();

  await redis().flushall();
  for (const [key, dump] of backup) await redis().restore(key, 0, dump!);
  const stored = await redis().hget(
    new NamespaceKeys(engine.namespace).partition(0).run(started[0]!.id),
    "output:make",
  );
  await blobs.delete("default", stored!.slice(1));
  const other = await engine.worker({ leaseMs: 500 });
  await other.reconcile();
  for (const { id } of started.slice(1))
    expect(await engine.ended(id)).toMatchObject({ status: "completed", output: 1 });
  const lost = await eventually(
    () => engine.millrace.runs.summary(started[0]!.id),
    ({ endedAt }) => endedAt !== undefined,
  );
  expect(lost).toMatchObject({ status: "failed", error: { code: "value_lost" } });
});
