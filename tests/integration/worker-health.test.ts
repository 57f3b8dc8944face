import { any } from "valibot";
import { expect, test, vi } from "vitest";
import { workflow } from "../../engine/index.ts";
import { engineUnderTest } from "../support/engine-under-test.ts";
import { isCluster, rawRedis } from "../support/redis.ts";

const work = workflow("work", { input: any() }).step("one", (n) => n);
const idle = workflow("idle", { input: any() }).step("one", (n) => n);

/** More than a read may take, and the heartbeat that tells of it. */
const NOTICED = { timeout: 20_000 };

test("a worker that finishes no read of a partition is not alive until it does; one that reads nothing is", async () => {
  await using engine = await engineUnderTest([work, idle], { partitions: 2 });
  const { millrace, namespace } = engine;
  const stuck = await engine.worker({ leaseMs: 600, steps: (name) => name === "work" });
  const other = await engine.worker({ leaseMs: 600, steps: (name) => name === "idle" });
  const alive = async () => Object.fromEntries((await millrace.workers()).map((each) => [each.id, each.alive]));
  await vi.waitFor(async () => expect(await alive()).toEqual({ [stuck.id]: true, [other.id]: true }));
  const redis = rawRedis();
  const key = `{${namespace}:1}:step:work@1:one`;
  const since = performance.now();
  // It goes on with its heartbeats, and with the other partition.
  await redis.set(key, "another type");
  await vi.waitFor(async () => expect(await alive()).toEqual({ [stuck.id]: false, [other.id]: true }), NOTICED);
  expect(performance.now() - since).toBeGreaterThan(8_000);
  expect(stuck.health()).toMatchObject({ alive: false, readerErrors: { WRONGTYPE: expect.any(Number) } });
  expect(other.health()).toMatchObject({ alive: true, readerErrors: {} });
  expect((await millrace.workers()).find(({ id }) => id === stuck.id)!.seenAgoMs).toBeLessThan(5_000);
  await redis.del(key);
  await vi.waitFor(async () => expect(await alive()).toEqual({ [stuck.id]: true, [other.id]: true }), NOTICED);
}, 60_000);

test("one that finishes no read of a partition is not counted where work waits", async () => {
  await using engine = await engineUnderTest([work], { partitions: 2 });
  const { millrace, namespace } = engine;
  const redis = rawRedis();
  const beat = async (partition: number, silentMs: number) => {
    const streams = [`{${namespace}:${partition}}:step:work@1:one`];
    const told = JSON.stringify({ streams, silentMs, readerErrors: { MOVED: partition } });
    await redis.hset(`{${namespace}:${partition}}:workers`, "ann", `${Date.now()} ${told}`);
  };
  const serving = async () => [(await millrace.queues())[0]!.workers, (await millrace.workers())[0]!.alive];
  await beat(0, 0);
  await beat(1, 2_000);
  expect(await serving()).toEqual([1, true]);
  await beat(1, 60_000);
  expect(await serving()).toEqual([0, false]);
  expect(await millrace.workers()).toMatchObject([{ id: "ann", silentMs: 60_000, readerErrors: { MOVED: 1 } }]);
});

// Slots that move end reads too.
test.skipIf(isCluster)("what reading fails with is counted by class, of workers and of consumers", async () => {
  await using engine = await engineUnderTest([work], { partitions: 1 });
  const { millrace, namespace } = engine;
  const worker = await engine.worker({ leaseMs: 600 });
  const redis = rawRedis();
  const reader = async () => {
    const list = String(await redis.client("LIST")).split("\n");
    const line = list.find(
      (each) => each.includes(` name=millrace:${namespace}:reader `) && / cmd=xreadgroup /.test(each),
    );
    if (line === undefined || !/ flags=\w*b/.test(line)) throw new Error("It does not read yet.");
    return /^id=(\d+)/.exec(line)![1]!;
  };
  const counted = (count: Record<string, number>) =>
    vi.waitFor(() => expect(worker.health().readerErrors).toEqual(count), { timeout: 10_000 });
  await redis.client("UNBLOCK", await vi.waitFor(reader), "ERROR");
  await counted({ UNBLOCKED: 1 });
  await redis.client("KILL", "ID", await vi.waitFor(reader, { timeout: 5_000 }));
  await counted({ UNBLOCKED: 1, socket: 1 });
  await vi.waitFor(reader, { timeout: 5_000 });
  await redis.xgroup("DESTROY", `{${namespace}:0}:step:work@1:one`, "workers");
  await counted({ UNBLOCKED: 1, socket: 1, NOGROUP: 1 });
  const told = async () => (await millrace.workers()).map(({ readerErrors }) => readerErrors);
  await vi.waitFor(async () => expect(await told()).toEqual([worker.health().readerErrors]), { timeout: 5_000 });
  await worker.stop();

  const consumer = await millrace.subscribe({ group: "billing", leaseMs: 600 }, () => {});
  await redis.client("UNBLOCK", await vi.waitFor(reader, { timeout: 5_000 }), "ERROR");
  await vi.waitFor(async () => expect(await told()).toEqual([{ UNBLOCKED: 1 }]), { timeout: 5_000 });
  await consumer.stop();
});
