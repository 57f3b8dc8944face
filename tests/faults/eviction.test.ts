import type { Redis } from "ioredis";
import { any } from "valibot";
import { expect, test } from "vitest";
import { connect, workflow } from "../../engine/index.ts";
import { engineUnderTest } from "../support/engine-under-test.ts";
import { faultBench } from "../support/faults/bench.ts";
import { sized, TIMEOUT_MS } from "../support/faults/settings.ts";
import { JUNK } from "../support/memory.ts";
import { journey } from "../support/programs/journey.ts";
import { freshNamespace, rawRedis } from "../support/redis.ts";
import { keysLike } from "../support/redis-client.ts";
import { restartableRedis } from "../support/restartable-redis.ts";

const limited = (maxmemory: string, policy: string) =>
  restartableRedis({ args: ["--maxmemory", maxmemory, "--maxmemory-policy", policy] });

/** Keys of a namespace that have a TTL. */
async function expiring(redis: Redis, namespace: string): Promise<string[]> {
  const found: string[] = [];
  for (const key of await keysLike(redis, `{${namespace}*`)) if ((await redis.pttl(key)) >= 0) found.push(key);
  return found;
}

test("volatile-lru with others' keys to evict: nothing is lost, and nothing is there twice", {
  timeout: TIMEOUT_MS,
}, async () => {
  await using server = await limited(sized("12mb", "256mb"), "volatile-lru");
  const redis = rawRedis(server.url);
  const runs = sized(100, 20_000);
  await using bench = await faultBench({ url: server.url, faults: 1 });
  await bench.workers(2);
  let isOver = false;
  let most = 0;
  const evicted = async () => Number(/evicted_keys:(\d+)/.exec(await redis.info("stats"))![1]);
  const junk = async () => {
    for (let n = 0; !isOver; n += 1) {
      await redis.set(`${JUNK}${n}`, "x".repeat(10_000), "EX", 3_600);
      most = Math.max(most, n);
    }
  };
  const filling = junk();
  await expect.poll(evicted).toBeGreaterThan(0);
  await bench.load.run(runs, (n) => (n % 9 === 0 ? { throws: "cross" } : {}));
  isOver = true;
  await filling;
  bench.schedule.note(`${await evicted()} of ${most} keys were evicted`);
  expect(await expiring(redis, bench.fleet.namespace)).toEqual([]);
  const checked = await bench.check();
  expect(checked).toMatchObject({ completed: checked.runs });
});

const paid = workflow("paid", { input: any() }).step("use", (n, ctx) => {
  ctx.usage({ tokens: n, key: "ann" });
  ctx.usage({ tokens: n, key: "a|b" });
});

test("volatile-lru with others' keys to evict: what was used on keys is kept, and nothing has a TTL", {
  timeout: TIMEOUT_MS,
}, async () => {
  await using server = await limited("12mb", "volatile-lru");
  const redis = rawRedis(server.url);
  await using engine = await engineUnderTest([paid], server);
  await engine.worker();
  const runs = sized(20, 500);
  for (let n = 1; n <= runs; n += 1) await engine.run(paid, n);
  // The eldest are tried first: what is used was there before.
  for (let n = 0; n < 3_000; n += 1) await redis.set(`${JUNK}${n}`, "x".repeat(10_000), "EX", 10_000_000);
  expect(Number(/evicted_keys:(\d+)/.exec(await redis.info("stats"))![1])).toBeGreaterThan(1_000);
  for (const key of ["ann", "a|b"])
    expect(await engine.millrace.usage({ key })).toMatchObject({ tokens: (runs * (runs + 1)) / 2 });
  expect(await expiring(redis, engine.namespace)).toEqual([]);
});

test("a policy that evicts whatever it likes is refused", async () => {
  await using server = await limited("8mb", "allkeys-lru");
  const refused = connect({ url: server.url, namespace: freshNamespace(), workflows: [journey] });
  await expect(refused).rejects.toMatchObject({ code: "eviction_policy" });
});
