import { any } from "valibot";
import { expect, test } from "vitest";
import { workflow } from "../../engine/index.ts";
import { NamespaceKeys } from "../../engine/keys.ts";
import { Client, openForCalls } from "../../engine/redis/client.ts";
import { Store } from "../../engine/store.ts";
import { take } from "../../engine/streams.ts";
import { engineUnderTest } from "../support/engine-under-test.ts";
import { sized, TIMEOUT_MS } from "../support/faults/settings.ts";
import { rawRedis, redisUrl } from "../support/redis.ts";

const DEATHS = sized(300, 10_000);
const LEASE_MS = 400;

const work = workflow("work", { input: any() }).step("one", (n) => n + 1);

/** An engine, and what reads its stream in the name of workers that die with it in hand. For `await using`. */
async function deadWorkers() {
  const engine = await engineUnderTest([work], { partitions: 1 });
  const client = new Client(openForCalls(redisUrl, "deaths"));
  const store = new Store(client, new NamespaceKeys(engine.namespace));
  const keys = store.allPartitions[0]!;
  const key = keys.step(work.graph, "one");
  const stream = { keys, graph: work.graph, step: work.steps[0]!, lane: "normal", key } as const;
  return {
    ...{ engine, store, keys, stream },
    /** Reads an entry as this consumer. */
    async takes(consumer: string) {
      const held = await take(client, consumer, [[stream, 1]]);
      expect(held).toHaveLength(1);
      return held;
    },
    async [Symbol.asyncDispose]() {
      client.close();
      await engine[Symbol.asyncDispose]();
    },
  };
}

test("workers die by the hundred, each with a step in hand: consumers are taken off, and every run ends", {
  timeout: TIMEOUT_MS,
}, async () => {
  await using dead = await deadWorkers();
  const { engine, store, keys, stream } = dead;
  const started: string[] = [];
  for (let n = 0; n < DEATHS; n += 1) {
    started.push((await engine.millrace.runs.start(work, n)).id);
    // A worker that has read an entry and beaten once, and is not heard of again.
    const consumer = `dead${n}`;
    const held = await dead.takes(consumer);
    await store.heartbeat(consumer, LEASE_MS, [stream], [held]);
  }
  const redis = rawRedis();
  const consumers = async () => ((await redis.xinfo("CONSUMERS", stream.key, "workers")) as unknown[]).length;
  expect(await consumers()).toBe(DEATHS);

  const worker = await engine.worker({ leaseMs: LEASE_MS });
  for (const [n, id] of started.entries())
    expect(await engine.ended(id)).toMatchObject({
      status: "completed",
      output: n + 1,
      steps: { one: { attempt: 2 } },
    });
  await expect.poll(consumers, { timeout: TIMEOUT_MS / 2 }).toBeLessThanOrEqual(1);
  await expect.poll(() => redis.hkeys(keys.workers())).toEqual([worker.id]);
});

test("a worker is not taken off while something is pending for it: that would be lost", async () => {
  await using dead = await deadWorkers();
  const { engine, store, keys, stream } = dead;
  await engine.millrace.runs.start(work, 1);
  await dead.takes("dead");
  expect(await store.retire("dead", keys, [stream.key])).toBe(false);
  expect((await rawRedis().xpending(stream.key, "workers"))[0]).toBe(1);
});
