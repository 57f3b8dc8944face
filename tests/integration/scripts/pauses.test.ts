import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Entry } from "../../../engine/entry.ts";
import { newRunId } from "../../../engine/ids.ts";
import { PauseStore } from "../../../engine/store/pause-store.ts";
import { Reply } from "../../../engine/store.ts";
import type { ScriptedRow } from "../../../engine/timer-rows.ts";
import { changes } from "../../support/state.ts";
import { StoreBench, two } from "../../support/store.ts";

let bench: StoreBench;
let pauses: PauseStore;
beforeEach(() => {
  bench = new StoreBench();
  pauses = new PauseStore(bench.client, bench.keys);
});
afterEach(() => bench.close());

const tenant = { tenant: "default" };

describe("pause and resume", () => {
  test.each([
    [{ workflow: "two" }, "workflow:two"],
    [{ workflow: "two", step: "a" }, "step:two:a"],
  ])("%j", async (what, field) => {
    const heard: string[] = [];
    const listener = bench.redis.duplicate();
    try {
      await listener.subscribe(bench.keys.control());
      const second = new Promise<void>((resolve) =>
        listener.on("message", (_, text) => {
          if (heard.push(text) === 2) resolve();
        }),
      );
      expect(await pauses.pause(what)).toBe(Reply.Done);
      expect(await bench.state()).toEqual({ paused: { [field]: "T" } });
      expect(await pauses.pause(what)).toBe(Reply.Already);
      expect(await pauses.resume(what)).toBe(Reply.Done);
      expect(await bench.state()).toEqual({});
      expect(await pauses.resume(what)).toBe(Reply.Already);
      await second;
      expect(heard).toEqual(["paused", "paused"]);
    } finally {
      listener.disconnect();
    }
  });

  test("a tenant's resume sets the row that puts back what is parked; one that is not paused sets none", async () => {
    expect(await pauses.resume(tenant)).toBe(Reply.Already);
    await pauses.pause(tenant);
    expect(await bench.state()).toEqual({ paused: { "tenant:default": "T" } });
    expect(await pauses.resume(tenant)).toBe(Reply.Done);
    expect(await bench.state()).toEqual({ timers: { "unpark|default": "T" } });
  });

  test("a key of the wrong type refuses both", async () => {
    await bench.redis.set(bench.keys.paused(), "not ours");
    expect(await pauses.pause(tenant)).toBe(Reply.WrongType);
    expect(await pauses.resume(tenant)).toBe(Reply.WrongType);
    expect(await bench.redis.get(bench.keys.paused())).toBe("not ours");
  });
});

describe("park", () => {
  let entry: Entry;
  beforeEach(async () => {
    entry = await bench.held();
    await pauses.pause(tenant);
  });

  async function park(expected: Reply, consumer = "ann", each = entry) {
    const before = await bench.state();
    expect(await pauses.park(consumer, [each])).toEqual([expected]);
    return changes(before, await bench.state());
  }
  const row = "wake|parked|default|RUN|two|1|a||E1";

  test("the entry is gone, and the step waits among what the tenant has parked", async () => {
    expect(await park(Reply.Done)).toEqual({
      delayed: { "two@1:a": "1" },
      "log:RUN": ['T {"type":"run.queued"}', 'T {"type":"run.waiting","step":"a","data":{"reason":"tenant_paused"}}'],
      "parked:default": { [row]: "T" },
      "run:RUN": expect.objectContaining({
        status: "waiting",
        unstarted: "1",
        "step:a": `waiting 0 0 0 timer:${row} - - 0`,
      }),
      "runs:default:status:queued": "gone",
      "runs:default:status:waiting": { RUN: "T" },
      "step:two@1:a": [],
    });
  });

  test("what was charged before stays so", async () => {
    const charged = { ...entry, failures: 2, crashes: 1 };
    const { "run:RUN": run } = await park(Reply.Done, "ann", charged);
    expect(run).toMatchObject({ "step:a": `waiting 0 2 1 timer:${row} - - 0` });
  });

  test("a second time it is nobody's", async () => {
    await park(Reply.Done);
    expect(await park(Reply.NotOwner)).toEqual({});
  });

  test("a tenant that was resumed meanwhile: nothing happens, the entry is still the consumer's", async () => {
    await pauses.resume(tenant);
    expect(await park(Reply.Already)).toEqual({});
    expect(await bench.commit({ entry, end: { kind: "release" } })).toBe(Reply.Done);
  });

  test("another consumer's entry, or one that was delivered again, stays where it is", async () => {
    expect(await park(Reply.NotOwner, "bob")).toEqual({});
    expect(await park(Reply.NotOwner, "ann", { ...entry, count: 2 })).toEqual({});
  });

  test.each([
    ["a run that has ended", Reply.RunEnded, (key: string) => bench.redis.hset(key, "status", "failed")],
    ["an unknown run", Reply.UnknownRun, (key: string) => bench.redis.del(key)],
    [
      "a step that is elsewhere",
      Reply.Stale,
      (key: string) => bench.redis.hset(key, "step:a", "queued 0 0 0 1-1 - - 0"),
    ],
  ])("an entry of %s is dropped", async (_, reply, prepare) => {
    await prepare(bench.keys.run(bench.run));
    expect(await park(reply)).toEqual({ "step:two@1:a": [] });
  });

  test.each(["paused", "run", "parked"])("a key of the wrong type refuses it: %s", async (which) => {
    const { keys } = bench;
    const key = { paused: keys.paused(), run: keys.run(bench.run), parked: keys.parked("default") }[which]!;
    await bench.redis.del(key);
    await bench.redis.set(key, "not ours");
    expect(await park(Reply.WrongType)).toEqual({});
  });

  test("each by itself", async () => {
    await bench.admit(newRunId(0));
    await bench.admit(newRunId(0), "other");
    const others = await bench.take("a");
    const entries = [entry, ...others, { ...entry, id: "1-1" }];
    expect(await pauses.park("ann", entries)).toEqual([Reply.Done, Reply.Done, Reply.Already, Reply.NotOwner]);
    expect(await bench.redis.zcard(bench.keys.parked("default"))).toBe(2);
  });

  test("cancelling finds it where it is", async () => {
    await park(Reply.Done);
    expect(await bench.store.cancel(bench.run, two.graph, "default")).toBe(Reply.Done);
    expect(await bench.state()).toMatchObject({
      delayed: { "two@1:a": "0" },
      "run:RUN": { status: "cancelled", "step:a": expect.stringMatching(/^cancelled 0 0 0 - - T 0$/) },
    });
    expect(await bench.redis.exists(bench.keys.parked("default"))).toBe(0);
  });

  describe("and unpark", () => {
    test("what is parked is due, and is put back with what it was charged before", async () => {
      await park(Reply.Done, "ann", { ...entry, failures: 2, crashes: 1 });
      await pauses.resume(tenant);
      const before = await bench.state({ E: entry.id });
      expect(await pauses.unpark("default")).toBe(1);
      expect(changes(before, await bench.state({ E: entry.id }))).toEqual({
        "parked:default": "gone",
        timers: { "unpark|default": "T", "wake|parked|default|RUN|two|1|a||E": "T" },
      });
      expect(await pauses.unpark("default")).toBe(0);

      const { due } = await bench.timers.dueTimers(100);
      const rows = due.filter((each): each is ScriptedRow => each.kind === "wake");
      expect(await bench.timers.promote(rows)).toEqual([Reply.Done]);
      expect(await bench.state()).toMatchObject({
        delayed: { "two@1:a": "0" },
        "run:RUN": { status: "queued", "step:a": "queued 0 2 1 E1 - - 0" },
        "runs:default:status:queued": { RUN: "T" },
        "step:two@1:a": ["E1 run=RUN tenant=default input= failures=2 crashes=1"],
      });
    });

    test("at most 100 at a time, the oldest first", async () => {
      const rows = Array.from({ length: 101 }, (_, i) => `wake|parked|default|r${i}|two|1|a||1-1`);
      for (const [i, each] of rows.entries()) await bench.redis.zadd(bench.keys.parked("default"), 1_000 - i, each);
      await pauses.resume(tenant);
      expect(await pauses.unpark("default")).toBe(100);
      expect(await bench.redis.zrange(bench.keys.parked("default"), "0", "-1")).toEqual([rows[0]]);
      expect(await pauses.unpark("default")).toBe(1);
      expect(await pauses.unpark("default")).toBe(0);
    });

    test("a tenant that is paused again keeps what it has", async () => {
      await park(Reply.Done);
      const before = await bench.state();
      expect(await pauses.unpark("default")).toBe(0);
      expect(changes(before, await bench.state())).toEqual({});
    });

    test("a key of the wrong type refuses it", async () => {
      await bench.redis.set(bench.keys.parked("default"), "not ours");
      await expect(pauses.unpark("default")).rejects.toMatchObject({ code: "wrong_type" });
    });
  });
});
