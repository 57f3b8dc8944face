import { any } from "valibot";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Entry } from "../../../engine/entry.ts";
import { newRunId } from "../../../engine/ids.ts";
import { workflow } from "../../../engine/index.ts";
import { Reply } from "../../../engine/store.ts";
import type { Parking, Transition } from "../../../engine/transition.ts";
import { StoreBench } from "../../support/store.ts";

const inner = workflow("inner", { input: any() }).step("a", () => 1);
const waits = workflow("waits", { input: any() })
  .waitFor("wait", { schema: any() })
  .step("end", () => 1);
const CHILD = "c".repeat(32);

let bench: StoreBench;
let entry: Entry;
beforeEach(async () => {
  bench = new StoreBench(waits);
  await bench.admit();
  entry = await bench.next("wait");
});
afterEach(() => bench.close());

const error = { name: "Error", message: "no" };
const parked = (parking: Parking): Transition => ({ kind: "park", parking });
const sleep = parked({ reason: "sleep", delayMs: 60_000 });
const signal = (timeoutMs?: number) => parked({ reason: "signal", timeoutMs });
const child = (detached = false) => parked({ reason: "child", child: CHILD, detached });
const park = (end: Transition) => () => bench.commit({ entry, startedAgoMs: 0, end });
const run = () => bench.redis.hgetall(bench.keys.run(bench.run));
const names = () => ({ ENTRY: entry.id, CHILD });
const row = (reason: string, by = entry.id) =>
  ({
    kind: "wake",
    reason,
    tenant: "default",
    run: bench.run,
    workflow: "waits",
    version: "1",
    step: "wait",
    item: "",
    entry: by,
  }) as const;
const promote = (reason: string, by?: string) => async () => (await bench.timers.promote([row(reason, by)]))[0]!;
const send =
  (key = "k", data = '"yes"', step = "wait", id = bench.run) =>
  () =>
    bench.store.signal(id, waits.graph, "default", step, key, data);

const STARTED = [
  'T {"type":"run.queued"}',
  'T {"type":"run.started"}',
  'T {"type":"step.started","step":"wait","attempt":1}',
];
/** What a run that has come to wait has changed, beside its record. */
const WAITING = {
  "log:RUN": [...STARTED, 'T {"type":"run.waiting"}'],
  "runs:default:status:queued": "gone",
  "runs:default:status:waiting": { RUN: "T" },
  "step:waits@1:wait": [],
};

describe("commit of parked", () => {
  test("a sleep: its row is its place, and the run waits", async () => {
    expect(await bench.change(park(sleep), Reply.Done, names())).toEqual({
      ...WAITING,
      delayed: { "waits@1:wait": "1" },
      "run:RUN": expect.objectContaining({
        ...{ status: "waiting", active: "0", "due:wait": "T" },
        "step:wait": "waiting 1 0 0 timer:wake|sleep|default|RUN|waits|1|wait||ENTRY T - 0",
      }),
      timers: { "wake|sleep|default|RUN|waits|1|wait||ENTRY": "T" },
    });
  });

  test.each([
    ["that is to come", 4_102_444_800_000, 4_102_444_800_000],
    ["that is over, which is due now", 1_000, undefined],
  ])("a sleep until a time %s", async (_, at_ms, due) => {
    await park(parked({ reason: "sleep", at_ms }))();
    const [, score] = await bench.redis.zrange(bench.keys.timers(), "0", "-1", "WITHSCORES");
    if (due === undefined) expect(Number(score)).toBeGreaterThan(1_600_000_000_000);
    else expect(Number(score)).toBe(due);
  });

  test("for a signal: nothing is due", async () => {
    expect(await bench.change(park(signal()), Reply.Done, names())).toEqual({
      ...WAITING,
      "run:RUN": expect.objectContaining({
        ...{ status: "waiting", active: "0" },
        "step:wait": "waiting 1 0 0 timer:wake|timeout|default|RUN|waits|1|wait||ENTRY T - 0",
      }),
    });
  });

  test("for a signal, for so long: the time-out is due", async () => {
    expect(await bench.change(park(signal(60_000)), Reply.Done, names())).toMatchObject({
      delayed: { "waits@1:wait": "1" },
      "run:RUN": { "due:wait": "T" },
      timers: { "wake|timeout|default|RUN|waits|1|wait||ENTRY": "T" },
    });
  });

  test.each([undefined, 60_000])("for a signal that was kept: it does not wait (%s)", async (timeoutMs) => {
    expect(await send()()).toBe(Reply.Done);
    expect(await bench.change(park(signal(timeoutMs)), Reply.Done)).toEqual({
      "log:RUN": STARTED,
      "run:RUN": expect.objectContaining({
        ...{ status: "running", active: "1", "signal:wait": '"yes"', "signalled:wait": "k" },
        "step:wait": "queued 1 0 0 E1 T - 0",
      }),
      "runs:default:status:queued": "gone",
      "runs:default:status:running": { RUN: "T" },
      "step:waits@1:wait": ['E1 run=RUN tenant=default input={"n":1} wake=signal'],
    });
  });

  test.each([false, true])("for a child run that is live, detached: %s", async (detached) => {
    await bench.redis.hset(bench.keys.run(CHILD), "status", "running");
    const reason = detached ? "detached" : "child";
    expect(await bench.change(park(child(detached)), Reply.Done, names())).toEqual({
      ...WAITING,
      "run:RUN": expect.objectContaining({
        ...{ status: "waiting", active: "0" },
        "step:wait": `waiting 1 0 0 timer:wake|${reason}|default|RUN|waits|1|wait||CHILD T - 0`,
      }),
    });
  });

  test.each(["completed", "failed", "cancelled", undefined])(
    "for a child run that is %s: it does not wait",
    async (status) => {
      if (status !== undefined) await bench.redis.hset(bench.keys.run(CHILD), "status", status);
      expect(await bench.change(park(child()), Reply.Done)).toMatchObject({
        "run:RUN": { status: "running", active: "1", "step:wait": "queued 1 0 0 E1 T - 0" },
        "step:waits@1:wait": ['E1 run=RUN tenant=default input={"n":1} wake=child'],
      });
    },
  );

  test.each(Object.entries({ sleep, signal: signal(), child: child() }))("is refused: %s", async (_, end) => {
    expect(await bench.change(() => bench.commit({ entry, end }, "bob"), Reply.NotOwner)).toEqual({});
    await bench.redis.hset(bench.keys.run(bench.run), "status", "cancelled");
    expect(await bench.change(park(end), Reply.RunEnded)).toEqual({ "step:waits@1:wait": [] });
    expect(await bench.change(park(end), Reply.NotOwner)).toEqual({});
  });

  test.each(["timers", "delayed", "index", "child"])("a key of the wrong type: %s", async (which) => {
    const { keys } = bench;
    const index = keys.runsByStatus("default", "waiting");
    const key = { timers: keys.timers(), delayed: keys.delayed(), index, child: keys.run(CHILD) }[which]!;
    await bench.redis.set(key, "not ours");
    expect(await bench.change(park(which === "child" ? child() : sleep), Reply.WrongType)).toEqual({});
  });

  test("one step waits while another is at work: the run does not", async () => {
    bench.close();
    const both = workflow("waits", { input: any() })
      .waitFor("wait", { after: [], schema: any() })
      .step("work", { after: [], run: () => 1 });
    bench = new StoreBench(both);
    await bench.admit();
    await bench.come("wait", signal());
    expect(await run()).toMatchObject({ status: "running", active: "1" });
    await bench.come("work", { kind: "complete", output: "1" });
    expect(await run()).toMatchObject({ status: "waiting", active: "0" });
  });
});

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
    await park(parked({ reason: "sleep", delayMs: 0 }))();
    expect(await bench.change(promote("sleep"), Reply.Done)).toEqual({
      delayed: { "waits@1:wait": "0" },
      ...woken("sleep"),
    });
    expect(await run()).not.toHaveProperty("due:wait");
    expect(await bench.change(promote("sleep"), Reply.Already)).toEqual({});
  });

  test("a time-out: no signal counts from then on", async () => {
    await park(signal(0))();
    const changed = await bench.change(promote("timeout"), Reply.Done);
    expect(changed).toEqual({ delayed: { "waits@1:wait": "0" }, ...woken("timeout") });
    expect(changed["run:RUN"]).toMatchObject({ "signalled:wait": "" });
    expect(await bench.change(send(), Reply.Stale)).toEqual({});
  });

  test("a child run that has ended, which was never counted as delayed", async () => {
    await bench.redis.hset(bench.keys.run(CHILD), "status", "running");
    await park(child())();
    await bench.redis.zadd(bench.keys.timers(), 1, `wake|child|default|${bench.run}|waits|1|wait||${CHILD}`);
    expect(await bench.change(promote("child", CHILD), Reply.Done)).toEqual(woken("child"));
  });

  test("a child run that ended before its parent waited: its row is dropped, and it was seen then", async () => {
    await bench.redis.zadd(bench.keys.timers(), 1, `wake|child|default|${bench.run}|waits|1|wait||${CHILD}`);
    expect(await bench.change(promote("child", CHILD), Reply.Stale)).toEqual({ timers: "gone" });
  });

  test.each(["child", "detached", "signal", "timeout", "sleep"])(
    "woken by %s, failed and tried again: it is woken again",
    async (wake) => {
      await bench.redis.hset(bench.keys.run(CHILD), "status", "completed");
      await park(child())();
      const again = { ...(await bench.next("wait")), wake };
      expect(await bench.commit({ entry: again, end: { kind: "retry", error, delayMs: 0 } })).toBe(Reply.Done);
      const reason = ["child", "detached"].includes(wake) ? "ended" : wake;
      expect(await bench.change(promote(reason, again.id), Reply.Done)).toMatchObject({
        delayed: { "waits@1:wait": "0" },
      });
      expect(await bench.next("wait")).toMatchObject({ failures: 1, wake: reason });
      expect(await run()).toMatchObject({ status: "running", active: "1" });
    },
  );

  test("of a run that has ended, and of one that is unknown: the row is dropped", async () => {
    await park(parked({ reason: "sleep", delayMs: 0 }))();
    await bench.redis.hset(bench.keys.run(bench.run), "status", "cancelled");
    expect(await bench.change(promote("sleep"), Reply.RunEnded)).toEqual({
      delayed: { "waits@1:wait": "0" },
      timers: "gone",
    });
    await bench.redis.zadd(bench.keys.timers(), 1, `wake|child|default|${newRunId(0)}|waits|1|wait||${CHILD}`);
    const unknown = { ...row("child", CHILD), run: newRunId(0) };
    await bench.redis.zadd(bench.keys.timers(), 1, Object.values(unknown).join("|"));
    expect(await bench.timers.promote([unknown])).toEqual([Reply.UnknownRun]);
  });

  test.each(["run", "stream", "items", "waiting", "running"])(
    "a key of the wrong type puts it off: %s",
    async (which) => {
      await park(parked({ reason: "sleep", delayMs: 0 }))();
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
      const changed = await bench.change(promote("sleep"), Reply.WrongType, { ROW: entry.id });
      expect(Object.keys(changed)).toEqual([]);
      const [, score] = await bench.redis.zrange(keys.timers(), "0", "-1", "WITHSCORES");
      expect(Number(score) - Date.now()).toBeGreaterThan(50_000);
    },
  );
});

describe("signal", () => {
  test("to a step that waits: it is in its stream, and the run is running", async () => {
    await park(signal(60_000))();
    expect(await bench.change(send(), Reply.Done)).toEqual({
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
    expect(await run()).not.toHaveProperty("due:wait");
    expect(await bench.change(promote("timeout"), Reply.Already)).toEqual({});
  });

  test("to one that waits without end: no row was counted", async () => {
    await park(signal())();
    expect(Object.keys(await bench.change(send(), Reply.Done)).sort()).toEqual([
      "run:RUN",
      "runs:default:status:running",
      "runs:default:status:waiting",
      "step:waits@1:wait",
    ]);
  });

  test("before the wait it is kept", async () => {
    expect(await bench.change(send(), Reply.Done)).toEqual({
      "run:RUN": expect.objectContaining({ "signal:wait": '"yes"', "signalled:wait": "k", status: "queued" }),
    });
  });

  test("again with its key is the same; with another it is refused", async () => {
    await send()();
    expect(await bench.change(send("k", '"other"'), Reply.Already)).toEqual({});
    expect(await bench.change(send("l"), Reply.Stale)).toEqual({});
  });

  test("again with its key is the same once the run has ended, too", async () => {
    await send()();
    await bench.store.cancel(bench.run, waits.graph, "default");
    expect(await bench.change(send(), Reply.Already)).toEqual({});
  });

  test("is refused by a step that is done or skipped, a run that has ended, and one that is unknown", async () => {
    for (const status of ["completed", "skipped", "failed", "cancelled"]) {
      await bench.redis.hset(bench.keys.run(bench.run), "step:wait", `${status} 1 0 0 - 1 2 0`);
      expect(await bench.change(send(), Reply.Stale)).toEqual({});
    }
    await bench.redis.hset(bench.keys.run(bench.run), "status", "cancelled");
    expect(await bench.change(send(), Reply.RunEnded)).toEqual({});
    expect(await bench.change(send("k", "1", "wait", newRunId(0)), Reply.UnknownRun)).toEqual({});
  });

  test.each(["run", "timers", "delayed", "stream", "waiting", "running"])(
    "a key of the wrong type: %s",
    async (which) => {
      await park(signal(60_000))();
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
      expect(await bench.change(send(), Reply.WrongType)).toEqual({});
    },
  );

  test("after a time-out that the run failed with: a replay waits anew, and takes one", async () => {
    await park(signal(0))();
    await promote("timeout")();
    const timedOut = await bench.next("wait");
    expect(timedOut.wake).toBe("timeout");
    await bench.fail(timedOut);
    const place = { id: `${bench.run}-${timedOut.id}`, run: bench.run, entry: timedOut.id, graph: waits.graph };
    expect(await bench.store.replay({ ...place, tenant: "default", step: "wait" })).toBe(Reply.Done);
    expect(await run()).not.toHaveProperty("signalled:wait");
    await bench.come("wait", signal());
    expect(await send()()).toBe(Reply.Done);
  });
});

describe("a run that waits", () => {
  const cancel = () => bench.store.cancel(bench.run, waits.graph, "default");

  test.each(Object.entries({ sleep, "a signal": signal(), "a time-out": signal(60_000) }))(
    "for %s is cancelled: its row goes",
    async (_, end) => {
      await park(end)();
      const changed = await bench.change(cancel, Reply.Done);
      expect(changed).toMatchObject({
        "run:RUN": { status: "cancelled", "step:wait": "cancelled 1 0 0 - T T 0" },
        "runs:default:status:waiting": "gone",
        "runs:default:status:cancelled": { RUN: "T" },
      });
      expect(await bench.redis.zcard(bench.keys.timers())).toBe(0);
      expect((await bench.redis.hget(bench.keys.delayed(), "waits@1:wait")) ?? "0").toBe("0");
    },
  );
});

describe("admit of a child run", () => {
  const admit =
    (parent = entry, detached = false) =>
    () =>
      bench.store.admit({ id: CHILD, graph: inner.graph, tenant: "default", input: "1", parent, detached });
  const cancel = () => bench.store.cancel(bench.run, waits.graph, "default");

  test("it remembers what waits for it, and that remembers it", async () => {
    expect(await bench.change(admit(), true, { CHILD })).toMatchObject({
      "run:CHILD": { status: "queued", parent: "child|default|RUN|waits|1|wait|" },
      "run:RUN": { "child:wait": "CHILD" },
      "step:inner@1:a": [expect.stringContaining("run=CHILD")],
    });
    expect(await bench.change(admit(), false)).toEqual({});
  });

  test("one that is left to itself is not remembered", async () => {
    await admit(entry, true)();
    expect(await run()).not.toHaveProperty("child:wait");
    await cancel();
    expect(await bench.redis.zcard(bench.keys.timers())).toBe(0);
  });

  test.each(["waiting for it", "not waiting yet"])(
    "its parent is cancelled while %s: so is it, by a row",
    async (when) => {
      await admit()();
      if (when === "waiting for it") await park(child())();
      expect(await bench.change(cancel, Reply.Done, { CHILD })).toMatchObject({
        timers: { "cancel|default|CHILD": "T" },
      });
    },
  );

  test("its parent's step fails while it is live: it is cancelled", async () => {
    await admit()();
    const end: Transition = { kind: "dead", error };
    const dead = () => bench.commit({ entry, end });
    expect(await bench.change(dead, Reply.Done, { CHILD })).toMatchObject({ timers: { "cancel|default|CHILD": "T" } });
  });

  test("is refused once its parent has moved on or ended", async () => {
    expect(await bench.change(admit({ ...entry, id: "1-1" }), false)).toEqual({});
    await cancel();
    expect(await bench.change(admit(), false)).toEqual({});
    await bench.redis.del(bench.keys.run(bench.run));
    expect(await bench.change(admit(), false)).toEqual({});
  });

  test("its end wakes its parent", async () => {
    await admit()();
    await park(child())();
    const held = await bench.next("a", "ann", inner);
    const end: Transition = { kind: "complete", output: "1" };
    const changed = await bench.change(() => bench.commit({ entry: held, startedAgoMs: 0, end }), Reply.DoneAndDue, {
      CHILD,
    });
    expect(changed).toMatchObject({
      "run:CHILD": { status: "completed" },
      timers: { "wake|child|default|RUN|waits|1|wait||CHILD": "T" },
    });
  });
});
