import { any } from "valibot";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { workflow } from "../../../engine/index.ts";
import { Reply } from "../../../engine/store.ts";
import { StoreBench } from "../../support/store.ts";
import { CHILD, child, parked, signal, sleep, WaitBench } from "../../support/wait-bench.ts";

let bench: WaitBench;
beforeEach(async () => {
  bench = await WaitBench.begin();
});
afterEach(() => bench.close());

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
    expect(await bench.change(bench.park(sleep()), Reply.Done, { ENTRY: bench.entry.id, CHILD })).toEqual({
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
    await bench.park(parked({ reason: "sleep", at_ms }))();
    const [, score] = await bench.redis.zrange(bench.keys.timers(), "0", "-1", "WITHSCORES");
    if (due === undefined) expect(Number(score)).toBeGreaterThan(1_600_000_000_000);
    else expect(Number(score)).toBe(due);
  });

  test("for a signal: nothing is due", async () => {
    expect(await bench.change(bench.park(signal()), Reply.Done, { ENTRY: bench.entry.id, CHILD })).toEqual({
      ...WAITING,
      "run:RUN": expect.objectContaining({
        ...{ status: "waiting", active: "0" },
        "step:wait": "waiting 1 0 0 timer:wake|timeout|default|RUN|waits|1|wait||ENTRY T - 0",
      }),
    });
  });

  test("for a signal, for so long: the time-out is due", async () => {
    expect(await bench.change(bench.park(signal(60_000)), Reply.Done, { ENTRY: bench.entry.id, CHILD })).toMatchObject({
      delayed: { "waits@1:wait": "1" },
      "run:RUN": { "due:wait": "T" },
      timers: { "wake|timeout|default|RUN|waits|1|wait||ENTRY": "T" },
    });
  });

  test("for a signal that was kept, of a step that has taken down a worker: that is not forgotten", async () => {
    await bench.send()();
    await bench.redis.xclaim(bench.entry.stream.key, "workers", "ann", 0, bench.entry.id);
    const entry = { ...bench.entry, count: 2, crashes: 1 };
    expect(await bench.commit({ entry, startedAgoMs: 0, end: signal() })).toBe(Reply.Done);
    expect(await bench.next("wait")).toMatchObject({ failures: 0, crashes: 1, wake: "signal" });
  });

  test.each([undefined, 60_000])("for a signal that was kept: it does not wait (%s)", async (timeoutMs) => {
    expect(await bench.send()()).toBe(Reply.Done);
    expect(await bench.change(bench.park(signal(timeoutMs)), Reply.Done)).toEqual({
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
    expect(await bench.change(bench.park(child(detached)), Reply.Done, { ENTRY: bench.entry.id, CHILD })).toEqual({
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
      expect(await bench.change(bench.park(child()), Reply.Done)).toMatchObject({
        "run:RUN": { status: "running", active: "1", "step:wait": "queued 1 0 0 E1 T - 0" },
        "step:waits@1:wait": ['E1 run=RUN tenant=default input={"n":1} wake=child'],
      });
    },
  );

  test.each(Object.entries({ sleep: sleep(), signal: signal(), child: child() }))("is refused: %s", async (_, end) => {
    expect(await bench.change(() => bench.commit({ entry: bench.entry, end }, "bob"), Reply.NotOwner)).toEqual({});
    await bench.redis.hset(bench.keys.run(bench.run), "status", "cancelled");
    expect(await bench.change(bench.park(end), Reply.RunEnded)).toEqual({ "step:waits@1:wait": [] });
    expect(await bench.change(bench.park(end), Reply.NotOwner)).toEqual({});
  });

  test.each(["timers", "delayed", "index", "child"])("a key of the wrong type: %s", async (which) => {
    const { keys } = bench;
    const index = keys.runsByStatus("default", "waiting");
    const key = { timers: keys.timers(), delayed: keys.delayed(), index, child: keys.run(CHILD) }[which]!;
    await bench.redis.set(key, "not ours");
    expect(await bench.change(bench.park(which === "child" ? child() : sleep()), Reply.WrongType)).toEqual({});
  });

  test("one step waits while another is at work: the run does not", async () => {
    const both = workflow("waits", { input: any() })
      .waitFor("wait", { after: [], schema: any() })
      .step("work", { after: [], run: () => 1 });
    const other = new StoreBench(both);
    const fields = () => other.redis.hgetall(other.keys.run(other.run));
    await other.admit();
    await other.come("wait", signal());
    expect(await fields()).toMatchObject({ status: "running", active: "1" });
    await other.come("work", { kind: "complete", output: "1" });
    expect(await fields()).toMatchObject({ status: "waiting", active: "0" });
    other.close();
  });
});

describe("a run that waits", () => {
  test.each(Object.entries({ sleep: sleep(), "a signal": signal(), "a time-out": signal(60_000) }))(
    "for %s is cancelled: its row goes",
    async (_, end) => {
      await bench.park(end)();
      const changed = await bench.change(bench.cancelled, Reply.Done);
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
