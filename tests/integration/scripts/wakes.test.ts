import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { newRunId } from "../../../engine/ids.ts";
import { Reply } from "../../../engine/store.ts";
import { CHILD, child, signal, sleep, WaitBench, waits } from "../../support/wait-bench.ts";

const error = { name: "Error", message: "no" };

let bench: WaitBench;
beforeEach(async () => {
  bench = await WaitBench.begin();
});
afterEach(() => bench.close());

describe("promote of a wait", () => {
  const woken = (reason: string) => ({
    "run:RUN": expect.objectContaining({
      ...{ status: "running", active: "1" },
      "step:wait": expect.stringMatching(/^queued 1 0 0 E\d T - 0$/),
    }),
    "runs:default:status:waiting": "gone",
    "runs:default:status:running": { RUN: "T" },
    "step:waits@1:wait": [`E1 run=RUN tenant=default input= failures=0 crashes=0 wake=${reason}`],
    timers: "gone",
  });

  test("a sleep that is over: its entry says what it has waited for", async () => {
    await bench.park(sleep(0))();
    expect(await bench.change(bench.promote("sleep"), Reply.Done)).toEqual({
      delayed: { "waits@1:wait": "0" },
      ...woken("sleep"),
    });
    expect(await bench.fields()).not.toHaveProperty("due:wait");
    expect(await bench.change(bench.promote("sleep"), Reply.Already)).toEqual({});
  });

  test("a time-out: no signal counts from then on", async () => {
    await bench.park(signal(0))();
    const changed = await bench.change(bench.promote("timeout"), Reply.Done);
    expect(changed).toEqual({ delayed: { "waits@1:wait": "0" }, ...woken("timeout") });
    expect(changed["run:RUN"]).toMatchObject({ "signalled:wait": "" });
    expect(await bench.change(bench.send(), Reply.Stale)).toEqual({});
  });

  test("a child run that has ended, which was never counted as delayed", async () => {
    await bench.redis.hset(bench.keys.run(CHILD), "status", "running");
    await bench.park(child())();
    await bench.childEnded();
    expect(await bench.change(bench.promote("child", CHILD), Reply.Done)).toEqual(woken("child"));
  });

  test("a child run that ended before its parent waited: its row is dropped, and it was seen then", async () => {
    await bench.childEnded();
    expect(await bench.change(bench.promote("child", CHILD), Reply.Stale)).toEqual({ timers: "gone" });
  });

  test.each(["child", "detached", "signal", "timeout", "sleep"])(
    "woken by %s, failed and tried again: it is woken again",
    async (wake) => {
      await bench.redis.hset(bench.keys.run(CHILD), "status", "completed");
      await bench.park(child())();
      const again = { ...(await bench.next("wait")), wake };
      expect(await bench.commit({ entry: again, end: { kind: "retry", error, delayMs: 0 } })).toBe(Reply.Done);
      const reason = `retry:${wake}`;
      expect(await bench.change(bench.promote(reason, again.id), Reply.Done)).toMatchObject({
        delayed: { "waits@1:wait": "0" },
      });
      expect(await bench.next("wait")).toMatchObject({ failures: 1, wake });
      expect(await bench.fields()).toMatchObject({ status: "running", active: "1" });
    },
  );

  test("of a run that has ended, and of one that is unknown: the row is dropped", async () => {
    await bench.park(sleep(0))();
    await bench.redis.hset(bench.keys.run(bench.run), "status", "cancelled");
    expect(await bench.change(bench.promote("sleep"), Reply.RunEnded)).toEqual({
      delayed: { "waits@1:wait": "0" },
      timers: "gone",
    });
    const unknown = newRunId(0);
    await bench.childEnded(unknown);
    expect(await bench.promote("child", CHILD, unknown)()).toBe(Reply.UnknownRun);
  });

  test.each(["run", "stream", "items", "waiting", "running"])(
    "a key of the wrong type puts it off: %s",
    async (which) => {
      await bench.park(sleep(0))();
      const { keys } = bench;
      const key = {
        run: keys.run(bench.run),
        stream: keys.step(waits.graph, "wait"),
        items: keys.items(bench.run, "wait"),
        waiting: keys.runsByStatus("default", "waiting"),
        running: keys.runsByStatus("default", "running"),
      }[which]!;
      await bench.redis.del(key);
      await bench.redis.set(key, "not ours");
      const changed = await bench.change(bench.promote("sleep"), Reply.WrongType);
      expect(Object.keys(changed)).toEqual([]);
      const [, score] = await bench.redis.zrange(keys.timers(), "0", "-1", "WITHSCORES");
      expect(Number(score) - Date.now()).toBeGreaterThan(50_000);
    },
  );
});

describe("signal", () => {
  test("to a step that waits: it is in its stream, and the run is running", async () => {
    await bench.park(signal(60_000))();
    expect(await bench.change(bench.send(), Reply.Done)).toEqual({
      delayed: { "waits@1:wait": "0" },
      "run:RUN": expect.objectContaining({
        ...{ status: "running", active: "1", "signal:wait": '"yes"', "signalled:wait": "k" },
        "step:wait": "queued 1 0 0 E1 T - 0",
      }),
      "runs:default:status:waiting": "gone",
      "runs:default:status:running": { RUN: "T" },
      "step:waits@1:wait": ["E1 run=RUN tenant=default input= failures=0 crashes=0 wake=signal"],
      timers: "gone",
    });
    expect(await bench.fields()).not.toHaveProperty("due:wait");
    expect(await bench.change(bench.promote("timeout"), Reply.Already)).toEqual({});
  });

  test("to one that waits without end: no row was counted", async () => {
    await bench.park(signal())();
    expect(Object.keys(await bench.change(bench.send(), Reply.Done)).sort()).toEqual([
      "run:RUN",
      "runs:default:status:running",
      "runs:default:status:waiting",
      "step:waits@1:wait",
    ]);
  });

  test("before the wait it is kept", async () => {
    expect(await bench.change(bench.send(), Reply.Done)).toEqual({
      "run:RUN": expect.objectContaining({ "signal:wait": '"yes"', "signalled:wait": "k", status: "queued" }),
    });
  });

  test("again with its key is the same; with another it is refused", async () => {
    await bench.send()();
    expect(await bench.change(bench.send("k", '"other"'), Reply.Already)).toEqual({});
    expect(await bench.change(bench.send("l"), Reply.Stale)).toEqual({});
  });

  test("again with its key is the same once the run has ended, too", async () => {
    await bench.send()();
    await bench.store.cancel(bench.run, waits.graph, "default");
    expect(await bench.change(bench.send(), Reply.Already)).toEqual({});
  });

  test("is refused by a step that is done or skipped, a run that has ended, and one that is unknown", async () => {
    for (const status of ["completed", "skipped", "failed", "cancelled"]) {
      await bench.redis.hset(bench.keys.run(bench.run), "step:wait", `${status} 1 0 0 - 1 2 0`);
      expect(await bench.change(bench.send(), Reply.Stale)).toEqual({});
    }
    await bench.redis.hset(bench.keys.run(bench.run), "status", "cancelled");
    expect(await bench.change(bench.send(), Reply.RunEnded)).toEqual({});
    expect(await bench.change(bench.send("k", "1", newRunId(0)), Reply.UnknownRun)).toEqual({});
  });

  test.each(["run", "timers", "delayed", "stream", "waiting", "running"])(
    "a key of the wrong type: %s",
    async (which) => {
      await bench.park(signal(60_000))();
      const { keys } = bench;
      const key = {
        run: keys.run(bench.run),
        timers: keys.timers(),
        delayed: keys.delayed(),
        stream: keys.step(waits.graph, "wait"),
        waiting: keys.runsByStatus("default", "waiting"),
        running: keys.runsByStatus("default", "running"),
      }[which]!;
      await bench.redis.del(key);
      await bench.redis.set(key, "not ours");
      expect(await bench.change(bench.send(), Reply.WrongType)).toEqual({});
    },
  );

  test("after a time-out that the run failed with: a replay waits anew, and takes one", async () => {
    await bench.park(signal(0))();
    await bench.promote("timeout")();
    const timedOut = await bench.next("wait");
    expect(timedOut.wake).toBe("timeout");
    await bench.fail(timedOut);
    const place = { id: `${bench.run}-${timedOut.id}`, run: bench.run, entry: timedOut.id, graph: waits.graph };
    expect(await bench.store.replay({ ...place, tenant: "default", step: "wait" })).toBe(Reply.Done);
    expect(await bench.fields()).not.toHaveProperty("signalled:wait");
    await bench.come("wait", signal());
    expect(await bench.send()()).toBe(Reply.Done);
  });
});
