import { afterAll, beforeAll, expect, test } from "vitest";
import { newRunId } from "../../../engine/ids.ts";
import { Reply } from "../../../engine/store.ts";
import { type RestartableRedis, restartableRedis } from "../../support/restartable-redis.ts";
import { StoreBench, two } from "../../support/store.ts";

let redis: RestartableRedis;
let bench: StoreBench;
beforeAll(async () => {
  redis = await restartableRedis({ appendOnly: false });
  bench = new StoreBench(two, newRunId(0), redis.url);
});
afterAll(async () => {
  bench.close();
  await redis[Symbol.asyncDispose]();
});

const error = { name: "Error", message: "no" };

test("over the memory limit nothing is admitted, and every script that brings a run on does its work", async () => {
  await bench.admit();
  const [one, other] = [newRunId(0), newRunId(0)];
  for (const run of [one, other]) await bench.admit(run);
  const held = await bench.take("a");
  expect(held).toHaveLength(3);
  // Its group is there before: Redis refuses to make one.
  expect(await bench.take("b")).toEqual([]);
  await bench.redis.config("SET", "maxmemory", "1");
  await bench.redis.config("SET", "maxmemory-policy", "noeviction");
  await expect(bench.admit(newRunId(0))).rejects.toThrow(/OOM/);

  expect(await bench.store.heartbeat("ann", 10_000, [bench.stream("a")], [held])).toEqual([]);
  expect(await bench.commit({ entry: held[0]!, startedAgoMs: 0 })).toBe(Reply.Done);
  expect(await bench.commit({ entry: held[0]!, end: { kind: "complete", output: "1" } })).toBe(Reply.Done);
  expect(await bench.commit({ entry: held[1]!, end: { kind: "retry", error, delayMs: 0 } })).toBe(Reply.Done);
  expect(await bench.commit({ entry: held[2]!, end: { kind: "dead", error } })).toBe(Reply.Done);
  const { due } = await bench.timers.dueTimers(10);
  expect(await bench.timers.promote(due as Parameters<typeof bench.timers.promote>[0])).toEqual([Reply.Done]);
  expect(await bench.store.cancel(one, two.graph, "default")).toBe(Reply.Done);
  const [next] = await bench.take("b");
  expect(await bench.commit({ entry: next!, end: { kind: "complete", output: "2" } })).toBe(Reply.Done);
  expect(await bench.redis.hget(bench.keys.run(bench.run), "status")).toBe("completed");
});
