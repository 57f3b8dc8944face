import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { newRunId } from "../../../engine/ids.ts";
import { Reply } from "../../../engine/store.ts";
import type { ContinuedRow, ScriptedRow } from "../../../engine/timer-rows.ts";
import { changes } from "../../support/state.ts";
import { StoreBench, two } from "../../support/store.ts";

let bench: StoreBench;
beforeEach(() => {
  bench = new StoreBench();
});
afterEach(() => bench.close());

/** Brings the run to where its first step waits to be tried again, in so many ms. */
async function retrying(delayMs: number): Promise<ScriptedRow> {
  const entry = await bench.held();
  const error = { name: "Error", message: "no" };
  await bench.commit({ entry, startedAgoMs: 0, end: { kind: "retry", error, delayMs } });
  const { run } = bench;
  return {
    kind: "wake",
    reason: "retry",
    run,
    workflow: "two",
    version: "1",
    step: "a",
    item: "",
    entry: entry.id,
    tenant: "default",
  };
}

async function promote(row: ScriptedRow, expected: Reply) {
  const before = await bench.state();
  expect(await bench.timers.promote([row])).toEqual([expected]);
  return changes(before, await bench.state());
}

describe("what is due", () => {
  test("rows whose time has come, and when the next one's does", async () => {
    const row = await retrying(0);
    await bench.redis.zadd(bench.keys.timers(), Date.now() + 60_000, "forget|default|later");
    const { due, nextMs } = await bench.timers.dueTimers(100);
    expect(due).toEqual([row]);
    expect(nextMs).toBeGreaterThan(50_000);
  });

  test("a row that is none of ours is dropped", async () => {
    await bench.redis.zadd(bench.keys.timers(), 1, "what|is|this");
    expect(await bench.timers.dueTimers(100)).toEqual({ due: [] });
    expect(await bench.redis.zcard(bench.keys.timers())).toBe(0);
  });
});

describe("promote", () => {
  test("a retry that is due is in its stream, with its failures", async () => {
    const row = await retrying(0);
    expect(await promote(row, Reply.Done)).toEqual({
      delayed: { "two@1:a": "0" },
      "run:RUN": expect.objectContaining({ "step:a": "queued 1 1 0 E1 - - 0" }),
      "step:two@1:a": ["E1 run=RUN tenant=default input= failures=1 crashes=0"],
      timers: "gone",
    });
    const [again] = await bench.take("a");
    expect(again).toMatchObject({ run: bench.run, failures: 1, crashes: 0, count: 1 });
  });

  test("a second time it is not", async () => {
    const row = await retrying(0);
    await promote(row, Reply.Done);
    expect(await promote(row, Reply.Already)).toEqual({});
  });

  test("before its time nothing happens", async () => {
    expect(await promote(await retrying(60_000), Reply.Already)).toEqual({});
  });

  test("a row that has outlived its attempt is dropped", async () => {
    const row = await retrying(0);
    await bench.redis.hset(bench.keys.run(bench.run), "step:a", "retrying 2 2 0 timer:another - - 0");
    expect(await promote(row, Reply.Stale)).toEqual({ delayed: { "two@1:a": "0" }, timers: "gone" });
  });

  test.each([
    ["a run that has ended", Reply.RunEnded, (key: string) => bench.redis.hset(key, "status", "failed")],
    ["an unknown run", Reply.UnknownRun, (key: string) => bench.redis.del(key)],
  ])("a row of %s is dropped", async (_, reply, prepare) => {
    const row = await retrying(0);
    await prepare(bench.keys.run(bench.run));
    expect(await promote(row, reply)).toEqual({ delayed: { "two@1:a": "0" }, timers: "gone" });
  });

  test.each(["run", "stream"])(
    "a key of the wrong type: the row is kept for later, others are carried out: %s",
    async (which) => {
      const row = await retrying(0);
      const key = which === "run" ? bench.keys.run(bench.run) : bench.keys.step(two.graph, "a");
      await bench.redis.del(key);
      await bench.redis.set(key, "not ours");
      await bench.redis.zadd(bench.keys.timers(), 1, "forget|default|hash");
      const rows: ScriptedRow[] = [row, { kind: "forget", tenant: "default", hash: "hash" }];
      expect(await bench.timers.promote(rows)).toEqual([Reply.WrongType, Reply.Done]);
      expect(await bench.redis.zcard(bench.keys.timers())).toBe(1);
      expect(await bench.redis.get(key)).toBe("not ours");
      expect((await bench.timers.dueTimers(100)).due).toEqual([]);
    },
  );
});

describe("a row whose work is larger than a script", () => {
  // Any row will do: what is claimed and settled is a member of the set.
  const row = { kind: "forget", tenant: "default", hash: "hash" } as unknown as ContinuedRow;
  const due = (inMs: number) => bench.redis.zadd(bench.keys.timers(), Date.now() + inMs, "forget|default|hash");
  const score = async () => Number(await bench.redis.zscore(bench.keys.timers(), "forget|default|hash"));

  test("is one process's for a while, and nobody else's", async () => {
    await due(0);
    const [until] = await bench.timers.claimTimers([row], 60_000);
    expect(until).toBeGreaterThan(Date.now() + 50_000);
    expect(await score()).toBe(until);
    expect(await bench.timers.claimTimers([row], 60_000)).toEqual([0]);
  });

  test("is not taken before its time, nor when it is gone", async () => {
    await due(60_000);
    expect(await bench.timers.claimTimers([row], 1)).toEqual([0]);
    await bench.redis.del(bench.keys.timers());
    expect(await bench.timers.claimTimers([row], 1)).toEqual([0]);
    expect(await bench.state()).toEqual({});
  });

  test("is dropped when it is done, or comes due again", async () => {
    await due(0);
    const [until] = await bench.timers.claimTimers([row], 60_000);
    await bench.timers.settleTimer(row, until!, 5_000);
    expect(await score()).toBeLessThan(Date.now() + 6_000);
    await bench.timers.settleTimer(row, await score(), undefined);
    expect(await bench.state()).toEqual({});
  });

  test("is left alone by a process that had it too long", async () => {
    await due(0);
    await bench.timers.settleTimer(row, 1, undefined);
    expect(await score()).toBeGreaterThan(1);
  });
});

describe("reserve", () => {
  const other = newRunId(0);

  test("the first call's run is the key's; every later call gets it", async () => {
    expect(await bench.store.reserve("default", "hash", "digest", bench.run)).toBe(bench.run);
    expect(await bench.store.reserve("default", "hash", "digest", other)).toBe(bench.run);
    expect(await bench.state()).toEqual({
      "once:default:hash": { run: "RUN", digest: "digest" },
      timers: { "forget|default|hash": "T" },
    });
  });

  test("the same key with another digest is refused", async () => {
    await bench.store.reserve("default", "hash", "digest", bench.run);
    await expect(bench.store.reserve("default", "hash", "other", other)).rejects.toMatchObject({
      code: "idempotency_mismatch",
    });
  });

  test("another tenant's same key is another", async () => {
    await bench.store.reserve("default", "hash", "digest", bench.run);
    expect(await bench.store.reserve("acme", "hash", "other", other)).toBe(other);
  });

  test("a day later it is forgotten", async () => {
    await bench.store.reserve("default", "hash", "digest", bench.run);
    const row: ScriptedRow = { kind: "forget", tenant: "default", hash: "hash" };
    expect(await bench.timers.promote([row])).toEqual([Reply.Already]);
    await bench.redis.zadd(bench.keys.timers(), 1, "forget|default|hash");
    expect(await bench.timers.promote([row])).toEqual([Reply.Done]);
    expect(await bench.state()).toEqual({});
  });

  test("a key of the wrong type refuses it", async () => {
    await bench.redis.set(bench.keys.once("default", "hash"), "not ours");
    await expect(bench.store.reserve("default", "hash", "d", other)).rejects.toMatchObject({ code: "wrong_type" });
  });
});
