import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { newRunId } from "../../../engine/ids.ts";
import { PauseStore } from "../../../engine/store/pause-store.ts";
import { Reply } from "../../../engine/store.ts";
import { looked, NOTHING, ONE_PLACE, ONE_ROW, reconcileStore } from "../../support/reconcile.ts";
import { keysLike } from "../../support/redis-client.ts";
import { StoreBench } from "../../support/store.ts";
import { CHILD, child, signal, sleep, WaitBench, waits } from "../../support/wait-bench.ts";

const error = { name: "Error", message: "no" };

describe("a timer row", () => {
  let bench: WaitBench;
  beforeEach(async () => {
    bench = await WaitBench.begin();
  });
  afterEach(() => bench.close());
  const lose = () => bench.redis.del(bench.keys.timers(), bench.keys.delayed());
  const row = (reason: string, by = bench.entry.id) => `wake|${reason}|default|${bench.run}|waits|1|wait||${by}`;
  const scoreOf = async (member: string) => Number(await bench.redis.zscore(bench.keys.timers(), member));

  test("that is set stays", async () => {
    await bench.park(sleep())();
    expect(await looked(bench, NOTHING)).toEqual({});
  });

  test("of a sleep is set again, due when it was, and counted", async () => {
    await bench.park(sleep())();
    const was = await scoreOf(row("sleep"));
    await lose();
    expect(await looked(bench, ONE_PLACE)).toEqual({
      delayed: { "waits@1:wait": "1" },
      timers: { "wake|sleep|default|RUN|waits|1|wait||E1": "T" },
    });
    expect(await scoreOf(row("sleep"))).toBe(was);
  });

  test("of a step that is tried again is set again, and due", async () => {
    await bench.park({ kind: "retry", error, delayMs: 60_000 })();
    await lose();
    expect(await looked(bench, ONE_PLACE)).toMatchObject({ delayed: { "waits@1:wait": "1" } });
    expect(await scoreOf(row("retry"))).toBeLessThanOrEqual(Date.now());
  });

  test("of a wait with a time-out is set again; one without has none", async () => {
    await bench.park(signal(60_000))();
    await lose();
    expect(await looked(bench, ONE_PLACE)).toMatchObject({
      timers: { [row("timeout").replace(bench.run, "RUN").replace(bench.entry.id, "E1")]: "T" },
    });
    const other = await WaitBench.begin();
    await other.park(signal())();
    expect(await looked(other, NOTHING)).toEqual({});
    other.close();
  });

  test("of a child run is set once that has ended, and not before", async () => {
    await bench.redis.hset(bench.keys.run(CHILD), { status: "running", version: "1" });
    await bench.park(child())();
    expect(await looked(bench, NOTHING)).toEqual({});
    await bench.redis.hset(bench.keys.run(CHILD), "status", "undoing");
    expect(await looked(bench, NOTHING)).toEqual({});
    await bench.redis.hset(bench.keys.run(CHILD), "status", "completed");
    expect(await looked(bench, ONE_PLACE)).toEqual({
      timers: { [`wake|child|default|RUN|waits|1|wait||${CHILD}`]: "T" },
    });
    expect(await looked(bench, NOTHING)).toEqual({});
    expect(await bench.promote("child", CHILD)()).toBe(Reply.Done);
  });

  test("of a child run that is gone is set", async () => {
    await bench.redis.hset(bench.keys.run(CHILD), { status: "running", version: "1" });
    await bench.park(child())();
    await bench.redis.del(bench.keys.run(CHILD));
    expect(await looked(bench, ONE_PLACE)).toMatchObject({ timers: expect.anything() });
  });

  test("that a tenant's pause has parked stays parked; one that is nowhere is due", async () => {
    const pauses = new PauseStore(bench.client, bench.keys);
    await pauses.pause({ tenant: "default" });
    expect(await pauses.park("ann", [bench.entry])).toEqual([Reply.Done]);
    expect(await looked(bench, NOTHING)).toEqual({});
    await bench.redis.del(bench.keys.parked("default"));
    await bench.redis.hdel(bench.keys.delayed(), "waits@1:wait");
    expect(await looked(bench, ONE_PLACE)).toEqual({
      delayed: { "waits@1:wait": "1" },
      timers: { "wake|parked|default|RUN|waits|1|wait||E1": "T" },
    });
  });

  test("what is parked though nobody pauses goes on", async () => {
    const pauses = new PauseStore(bench.client, bench.keys);
    await pauses.pause({ tenant: "default" });
    await pauses.park("ann", [bench.entry]);
    const store = reconcileStore(bench, waits.graph);
    expect(await store.unparkOf("default", 5)).toEqual([]);
    await bench.redis.del(bench.keys.paused());
    expect(await store.unparkOf("default", 5)).toEqual([[{ kind: "unpark", tenant: "default" }, 5]]);
  });

  test("the entry of a step that has waited says what for", async () => {
    await bench.park(sleep(0))();
    await bench.promote("sleep")();
    await bench.redis.del(bench.stream("wait").key);
    // The graph calls this step a wait, so what it was woken by is a signal unless its time was out.
    expect(await looked(bench, ONE_PLACE)).toMatchObject({
      "step:waits@1:wait": ["E1 run=RUN tenant=default input= failures=0 crashes=0 wake=signal"],
    });
    await bench.redis.del(bench.stream("wait").key);
    await bench.redis.hset(bench.keys.run(bench.run), "signalled:wait", "");
    expect(await looked(bench, ONE_PLACE)).toMatchObject({
      "step:waits@1:wait": ["E1 run=RUN tenant=default input= failures=0 crashes=0 wake=timeout"],
    });
  });
});

describe("rows of indexes and of limits", () => {
  let bench: StoreBench;
  beforeEach(async () => {
    bench = new StoreBench();
  });
  afterEach(() => bench.close());

  test("a run that nothing lists is listed again", async () => {
    await bench.admit(bench.run, "default", { tags: ["blue"] });
    const indexes = await keysLike(bench.redis, `{${bench.namespace}:0}:runs:*`);
    expect(indexes).toHaveLength(3);
    await bench.redis.del(indexes);
    expect(await looked(bench, ONE_ROW)).toEqual({
      "runs:default:status:queued": { RUN: "T" },
      "runs:default:workflow:two": { RUN: "T" },
      "runs:default:tag:blue": { RUN: "T" },
    });
    await bench.store.cancel(bench.run, bench.definition.graph, "default");
    await bench.redis.del(bench.keys.runsByStatus("default", "cancelled"));
    expect(await looked(bench, ONE_ROW)).toEqual({ "runs:default:status:cancelled": { RUN: "T" } });
  });

  test("a run in the index of another status is there no more; one that is gone is in none", async () => {
    await bench.admit();
    await bench.redis.zadd(bench.keys.runsByStatus("default", "waiting"), 1, bench.run);
    expect(await looked(bench, ONE_ROW)).toEqual({ "runs:default:status:waiting": "gone" });
    await bench.redis.del(bench.keys.run(bench.run));
    expect(await looked(bench, NOTHING)).toEqual({ "runs:default:status:queued": "gone" });
  });

  test("limits whose rows are gone are kept again, due when they were", async () => {
    await bench.admit(bench.run, "default", { ttlMs: 60_000, deadlineMs: 90_000 });
    const was = await bench.redis.zrange(bench.keys.timers(), "0", "-1", "WITHSCORES");
    expect(await looked(bench, NOTHING)).toEqual({});
    await bench.redis.del(bench.keys.timers());
    expect(await looked(bench, ONE_ROW)).toMatchObject({ timers: expect.anything() });
    expect(await bench.redis.zrange(bench.keys.timers(), "0", "-1", "WITHSCORES")).toEqual(was);
  });

  test("a limit that is past, and about to be carried out, is not set anew", async () => {
    await bench.admit(bench.run, "default", { deadlineMs: 90_000 });
    await bench.redis.del(bench.keys.timers());
    await bench.redis.zadd(bench.keys.timers(), 1, `overdue|${bench.run}|two|1|deadline`);
    expect(await looked(bench, NOTHING)).toEqual({});
  });

  test("a child run is ended when the run that it ends with has", async () => {
    await bench.admit();
    const parent = newRunId(0);
    await bench.redis.hset(bench.keys.run(bench.run), "parent", `child|default|${parent}|up|1|s|`);
    await bench.redis.hset(bench.keys.run(parent), { status: "running", tenant: "default" });
    expect(await looked(bench, NOTHING)).toEqual({});
    await bench.redis.hset(bench.keys.run(parent), "status", "failed");
    expect(await looked(bench, NOTHING)).toEqual({ timers: { "cancel|default|RUN": "0" } });
  });

  test("timer rows are counted anew by step, those that wait for a child left out", async () => {
    const wake = (reason: string, step: string, n: number) => `wake|${reason}|t|R${n}|two|1|${step}||1-1`;
    const rows = [
      wake("retry", "a", 1),
      wake("retry", "a", 2),
      wake("child", "a", 3),
      wake("sleep", "b", 4),
      "unpark|t",
    ];
    for (const row of rows) await bench.redis.zadd(bench.keys.timers(), 1, row);
    await bench.redis.zadd(bench.keys.parked("t"), 1, wake("parked", "b", 5));
    await bench.redis.hset(bench.keys.delayed(), { "two@1:a": "9", "gone@1:a": "-3" });
    await reconcileStore(bench, bench.definition.graph).recount(["t"]);
    expect(await bench.redis.hgetall(bench.keys.delayed())).toEqual({ "two@1:a": "2", "two@1:b": "2" });
  });
});

test("pages of an index meet every member once, with the same score or not", async () => {
  const bench = new StoreBench();
  const key = bench.keys.runsByStatus("default", "queued");
  const all = Array.from({ length: 350 }, (_, n) => `R${String(n).padStart(3, "0")}`);
  for (const [n, id] of all.entries()) await bench.redis.zadd(key, n < 240 ? 5 : n, id);
  const store = reconcileStore(bench, bench.definition.graph);
  const seen: string[] = [];
  for (let at: { score: number; skip: number } | undefined = { score: 0, skip: 0 }; at !== undefined; ) {
    const { members, next } = await store.page(key, at);
    seen.push(...members);
    at = next;
  }
  expect(seen).toEqual(all);
  bench.close();
});
