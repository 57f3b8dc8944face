import { any } from "valibot";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Entry, StepStream } from "../../../engine/entry.ts";
import { deadLetterId, newRunId } from "../../../engine/ids.ts";
import { workflow } from "../../../engine/index.ts";
import { LaneStore } from "../../../engine/store/lane-store.ts";
import { Reply } from "../../../engine/store.ts";
import { take } from "../../../engine/streams.ts";
import type { ScriptedRow } from "../../../engine/timer-rows.ts";
import { changes } from "../../support/state.ts";
import { StoreBench, two } from "../../support/store.ts";

let bench: StoreBench;
let lanes: LaneStore;
beforeEach(() => {
  bench = new StoreBench();
  lanes = new LaneStore(bench.client);
});
afterEach(() => bench.close());

describe("opening a lane", () => {
  test("makes the streams of all steps with their groups, once", async () => {
    await lanes.open(bench.keys, two.graph, "high");
    const made = { lanes: { "two@1:high": "T" }, "step:two@1:a:high": [], "step:two@1:b:high": [] };
    expect(await bench.state()).toEqual(made);
    expect(await lanes.used(bench.keys)).toEqual(["two@1:high"]);
    // Another process does not know, and finds it open.
    await new LaneStore(bench.client).open(bench.keys, two.graph, "high");
    expect(await bench.state()).toEqual(made);
    expect(await bench.redis.xinfo("GROUPS", bench.keys.step(two.graph, "b", "high"))).toHaveLength(1);
  });

  test("what is there before the group is delivered", async () => {
    const stream: StepStream = { ...bench.stream("a"), lane: "high", key: bench.keys.step(two.graph, "a", "high") };
    await bench.redis.xadd(stream.key, "*", "run", bench.run, "tenant", "default", "input", "1");
    await lanes.open(bench.keys, two.graph, "high");
    expect(await take(bench.client, "ann", [[stream, 10]])).toMatchObject([{ run: bench.run, count: 1 }]);
  });

  test("the workers are told, of a new one only", async () => {
    const listener = bench.redis.duplicate();
    const heard: string[] = [];
    try {
      await listener.subscribe(bench.keys.control());
      const end = new Promise<void>((resolve) =>
        listener.on("message", (_, text) => {
          heard.push(text);
          if (text === "end") resolve();
        }),
      );
      await lanes.open(bench.keys, two.graph, "low");
      await new LaneStore(bench.client).open(bench.keys, two.graph, "low");
      await bench.redis.publish(bench.keys.control(), "end");
      await end;
      expect(heard).toEqual(["lanes", "end"]);
    } finally {
      listener.disconnect();
    }
  });

  test("the normal one is always there", async () => {
    await lanes.open(bench.keys, two.graph, "normal");
    expect(await bench.state()).toEqual({});
  });

  test.each(["lanes", "stream"])("a key of the wrong type refuses it: %s", async (which) => {
    const key = which === "lanes" ? bench.keys.lanes() : bench.keys.step(two.graph, "b", "high");
    await bench.redis.set(key, "not ours");
    await expect(lanes.open(bench.keys, two.graph, "high")).rejects.toMatchObject({ code: "wrong_type" });
    expect(Object.keys(await bench.state())).toHaveLength(1);
  });
});

describe("a run of high priority", () => {
  let entry: Entry;
  const stream = (step: string): StepStream => ({
    ...bench.stream(step),
    lane: "high",
    key: bench.keys.step(two.graph, step, "high"),
  });
  const takeHigh = async (step: string) => (await take(bench.client, "ann", [[stream(step), 100]]))[0]!;
  const error = { name: "Error", message: "no" };

  beforeEach(async () => {
    await lanes.open(bench.keys, two.graph, "high");
    await bench.store.admit({ id: bench.run, graph: two.graph, tenant: "default", input: "1", priority: "high" });
    entry = await takeHigh("a");
  });

  test("is admitted into its lane, and says so", async () => {
    expect(await bench.state()).toMatchObject({
      "run:RUN": { priority: "high", "step:a": "queued 0 0 0 E1 - - 0" },
      "step:two@1:a:high": ["E1 run=RUN tenant=default input=1", "pending E1 ann 1"],
    });
    expect(await bench.redis.exists(bench.keys.step(two.graph, "a"))).toBe(0);
  });

  test("its next step is in the same lane, and its end is the end", async () => {
    const before = await bench.state();
    const end = { kind: "complete" as const, output: "2" };
    expect(await bench.commit({ entry, startedAgoMs: 0, end })).toBe(Reply.Done);
    expect(changes(before, await bench.state())).toMatchObject({
      "step:two@1:a:high": [],
      "step:two@1:b:high": ["E1 run=RUN tenant=default input=2"],
    });
    const last = { kind: "complete" as const, output: "3" };
    expect(await bench.commit({ entry: await takeHigh("b"), end: last })).toBe(Reply.Done);
    expect(await bench.state()).toMatchObject({ "run:RUN": { status: "completed" }, "step:two@1:b:high": [] });
  });

  test("what is given back is in the same lane", async () => {
    expect(await bench.commit({ entry, end: { kind: "release" } })).toBe(Reply.Done);
    expect((await bench.state())["step:two@1:a:high"]).toEqual([
      "E1 run=RUN tenant=default input=1 failures=0 crashes=0",
    ]);
  });

  test("a retry comes back into the same lane", async () => {
    await bench.commit({ entry, startedAgoMs: 0, end: { kind: "retry", error, delayMs: 0 } });
    const { due } = await bench.timers.dueTimers(100);
    expect(await bench.timers.promote(due as ScriptedRow[])).toEqual([Reply.Done]);
    expect(await bench.state()).toMatchObject({
      delayed: { "two@1:a": "0" },
      "step:two@1:a:high": ["E1 run=RUN tenant=default input= failures=1 crashes=0"],
    });
    expect(await bench.redis.exists(bench.keys.step(two.graph, "a"))).toBe(0);
  });

  test("a dead letter is its step's, and a replay is in the same lane", async () => {
    await bench.fail(entry);
    expect(await bench.redis.xlen(bench.keys.dead(two.graph, "a"))).toBe(1);
    const place = { run: bench.run, entry: entry.id, graph: two.graph, tenant: "default", step: "a" };
    const id = deadLetterId(bench.run, entry.id);
    expect(await bench.store.replay({ ...place, id, lane: "high" })).toBe(Reply.Done);
    expect((await bench.state())["step:two@1:a:high"]).toEqual([
      expect.stringMatching(/^E\d run=RUN tenant=default input=$/),
    ]);
  });

  test("a signal wakes it in its lane", async () => {
    const wait = workflow("wait", { input: any() }).waitFor("word", { schema: any() });
    const { graph } = wait;
    const of = { ...bench.stream("word", wait), lane: "high" as const, key: bench.keys.step(graph, "word", "high") };
    const run = newRunId(0);
    await lanes.open(bench.keys, graph, "high");
    await bench.store.admit({ id: run, graph, tenant: "default", input: "1", priority: "high" });
    const [waits] = await take(bench.client, "ann", [[of, 1]]);
    await bench.commit({
      entry: waits!,
      startedAgoMs: 0,
      end: { kind: "park", parking: { reason: "signal", timeoutMs: undefined } },
    });
    const sent = { run, graph, tenant: "default", lane: "high" as const, step: "word", key: "k", stored: "1" };
    expect(await bench.store.signal(sent)).toBe(Reply.Done);
    expect((await bench.state({ OTHER: run }))["step:wait@1:word:high"]).toEqual([
      expect.stringMatching(/ run=OTHER .* wake=signal$/),
    ]);
    expect(await bench.redis.exists(bench.keys.step(graph, "word"))).toBe(0);
  });

  test("cancelling takes it out of its lane", async () => {
    expect(await bench.store.cancel(bench.run, two.graph, "default", "high")).toBe(Reply.Done);
    expect((await bench.state())["step:two@1:a:high"]).toEqual([]);
  });

  test("its lease is kept and taken over as any", async () => {
    const streams = [bench.stream("a"), stream("a")];
    expect(await bench.store.heartbeat("ann", 10_000, streams, [[], [entry]])).toEqual([]);
    await bench.redis.hset(bench.keys.beats(), "since", 1);
    await bench.redis.xclaim(entry.stream.key, "workers", "ann", 0, entry.id, "IDLE", 60_000, "JUSTID");
    const taken = await bench.store.reclaim(entry.stream, "bob", "expired", 10_000, 10, []);
    expect(taken).toMatchObject([{ id: entry.id, count: 2, crashes: 1, stream: { lane: "high" } }]);
  });
});
