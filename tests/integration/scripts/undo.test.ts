import { any } from "valibot";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Entry } from "../../../engine/entry.ts";
import { newRunId } from "../../../engine/ids.ts";
import { workflow } from "../../../engine/index.ts";
import { ensureGroups } from "../../../engine/store/group-store.ts";
import { PauseStore } from "../../../engine/store/pause-store.ts";
import { Reply } from "../../../engine/store.ts";
import { take } from "../../../engine/streams.ts";
import { parseTimerRow, type ScriptedRow } from "../../../engine/timer-rows.ts";
import { dead, done, error, runFailed, trip, UndoBench } from "../../support/undo.ts";

let bench: UndoBench;
beforeEach(() => {
  bench = new UndoBench();
});
afterEach(() => bench.close());

describe("the end of a run with something to undo begins with that", () => {
  test("it fails: the step that was done last is to be undone, and the event is kept", async () => {
    const entry = await bench.atLastStep();
    const changed = await bench.change(() => bench.commit({ entry, startedAgoMs: 0, end: dead }));
    expect(changed).toEqual({
      "dead-letters:default": { "RUN-E": "T" },
      "dead:trip@1:c": [expect.stringMatching(/^E id=RUN-E run=RUN tenant=default attempt=1 error=/)],
      "log:RUN": expect.not.arrayContaining([expect.stringContaining("run.failed")]),
      "run:RUN": expect.objectContaining({
        status: "undoing",
        ending: `failed ${runFailed.slice(2)}`,
        error: JSON.stringify(error),
        "step:b": "completed 1 0 0 - T T 0",
        "undo:b": "queued 0 0 0 E - - 0",
      }),
      "step:trip@1:b": ["E run=RUN tenant=default input= wake=undo"],
      "step:trip@1:c": [],
    });
    expect(changed["run:RUN"]).not.toHaveProperty("endedAt");
    expect(changed["run:RUN"]).not.toHaveProperty("undo:a");
    expect((await bench.state())["runs:default:status:running"]).toEqual({ RUN: "T" });
  });

  test("it is cancelled", async () => {
    await bench.atLastStep();
    const cancel = () => bench.store.cancel(bench.run, trip.graph, "default");
    expect(await bench.change(cancel)).toEqual({
      "run:RUN": expect.objectContaining({
        status: "undoing",
        ending: 'cancelled {"type":"run.cancelled"}',
        "step:c": "cancelled 0 0 0 - - T 0",
        "undo:b": "queued 0 0 0 E - - 0",
      }),
      "step:trip@1:b": ["E run=RUN tenant=default input= wake=undo"],
      "step:trip@1:c": [],
    });
    expect(await bench.change(cancel, Reply.Already)).toEqual({});
  });

  test("it has not kept its deadline", async () => {
    const terms = { deadlineMs: 60_000 };
    await bench.store.admit({ id: bench.run, graph: trip.graph, tenant: "default", input: "1", terms });
    await bench.atLastStep();
    const changed = await bench.change(() => bench.starts.expire(bench.run, trip.graph, "deadline"));
    expect(changed).toEqual({
      "run:RUN": expect.objectContaining({
        status: "undoing",
        ending: expect.stringMatching(/^failed {"type":"run.failed","data":{"error":{.*run_deadline/),
        error: expect.stringContaining("run_deadline"),
        "step:c": "cancelled 0 0 0 - - T 0",
        "undo:b": "queued 0 0 0 E - - 0",
      }),
      "step:trip@1:b": ["E run=RUN tenant=default input= wake=undo"],
      "step:trip@1:c": [],
      timers: "gone",
    });
    const again = () => bench.starts.expire(bench.run, trip.graph, "deadline");
    expect(await bench.change(again, Reply.RunEnded)).toEqual({});
  });

  test("a cancelled run that waited is at work again", async () => {
    await bench.atLastStep();
    const { keys, redis, run } = bench;
    await redis.hset(keys.run(run), "status", "waiting");
    await redis.del(keys.runsByStatus("default", "running"));
    await redis.zadd(keys.runsByStatus("default", "waiting"), 1_700_000_000_000, run);
    expect(await bench.change(() => bench.store.cancel(run, trip.graph, "default"))).toMatchObject({
      "runs:default:status:waiting": "gone",
      "runs:default:status:running": { RUN: "T" },
    });
  });

  test("with nothing done that can be undone it ends as any run", async () => {
    await bench.store.admit({ id: bench.run, graph: trip.graph, tenant: "default", input: "1" });
    const changed = await bench.change(async () =>
      bench.commit({ entry: await bench.next("a"), startedAgoMs: 0, end: dead }),
    );
    expect(changed["run:RUN"]).toMatchObject({ status: "failed", endedAt: "T" });
    expect(changed["run:RUN"]).not.toHaveProperty("ending");
    expect(changed["runs:default:status:failed"]).toEqual({ RUN: "T" });
  });

  test("steps that were done in one millisecond are undone against the order of the graph", async () => {
    const entry = await bench.atLastStep();
    const key = bench.keys.run(bench.run);
    for (const step of ["a", "b"]) await bench.redis.hset(key, `step:${step}`, "completed 1 0 0 - 5 5 0");
    await bench.commit({ entry, end: dead });
    expect(await bench.redis.hget(key, "undo:b")).toMatch(/^queued/);
    expect(await bench.redis.hget(key, "undo:a")).toBeNull();
  });

  test("a result that comes after it is refused, and its entry is gone", async () => {
    const entry = await bench.undoing();
    await bench.redis.hset(bench.keys.run(bench.run), "step:c", "running 1 0 0 1-1 5 - 0");
    await bench.redis.xadd(bench.keys.step(trip.graph, "c"), "*", "run", bench.run, "tenant", "default", "input", "");
    const late = await bench.next("c");
    expect(await bench.change(() => bench.commit({ entry: late, startedAgoMs: 0, end: done }), Reply.RunEnded)).toEqual(
      {
        "step:trip@1:c": [],
      },
    );
    expect(entry.wake).toBe("undo");
  });
});

test.each([
  ["undoing", "waiting"],
  ["failed", "queued"],
])("a step whose child is %s is %s", async (childStatus, status) => {
  const outer = workflow("outer", { input: any() }).child("inner", { workflow: trip, input: () => null });
  await bench.store.admit({ id: bench.run, graph: outer.graph, tenant: "default", input: "1" });
  const stream = bench.stream("inner", outer);
  await ensureGroups(bench.client, [stream]);
  const [entry] = await take(bench.client, "ann", [[stream, 1]]);
  const child = newRunId(0);
  await bench.redis.hset(bench.keys.run(child), "status", childStatus);
  const end = { kind: "park", parking: { reason: "child", child, detached: false } } as const;
  const changed = await bench.change(() => bench.commit({ entry: entry!, startedAgoMs: 0, end }));
  expect(changed["run:RUN"]).toMatchObject({ "step:inner": expect.stringMatching(new RegExp(`^${status} `)) });
});

describe("promote of the row of an undo", () => {
  async function rowOf(delayMs: number): Promise<ScriptedRow> {
    await bench.commit({ entry: await bench.undoing(), startedAgoMs: 0, end: { kind: "retry", error, delayMs } });
    const [member] = await bench.redis.zrange(bench.keys.timers(), "0", "-1");
    return parseTimerRow(member!) as ScriptedRow;
  }
  const promote = (row: ScriptedRow, expected: Reply) =>
    bench.change(async () => (await bench.timers.promote([row]))[0]!, expected);

  test("it is delivered again", async () => {
    expect(await promote(await rowOf(0), Reply.Done)).toEqual({
      delayed: { "trip@1:b": "0" },
      "run:RUN": expect.objectContaining({
        status: "undoing",
        "undo:b": "queued 1 1 0 E - - 0",
      }),
      "step:trip@1:b": ["E run=RUN tenant=default input= failures=1 crashes=0 wake=undo"],
      timers: "gone",
    });
  });

  test.each([
    ["a run that has ended", Reply.RunEnded, "status", "failed"],
    ["a run that is not undone", Reply.RunEnded, "status", "running"],
    ["another attempt", Reply.Stale, "undo:b", "queued 0 0 0 1-1 - - 0"],
  ])("a row of %s is dropped", async (_, reply, field, value) => {
    const row = await rowOf(0);
    await bench.redis.hset(bench.keys.run(bench.run), field, value);
    expect(await promote(row, reply)).toEqual({ delayed: { "trip@1:b": "0" }, timers: "gone" });
  });
});

describe("an undo whose tenant is paused", () => {
  const pauses = () => new PauseStore(bench.client, bench.keys);
  async function park(expected: Reply, entry: Entry) {
    return bench.change(async () => (await pauses().park("ann", [entry]))[0]!, expected);
  }

  test("is parked, and put back", async () => {
    const entry = await bench.undoing();
    await pauses().pause({ tenant: "default" });
    const row = "wake|parked:undo|default|RUN|trip|1|b||E";
    expect(await park(Reply.Done, entry)).toEqual({
      delayed: { "trip@1:b": "1" },
      "parked:default": { [row]: "T" },
      "run:RUN": expect.objectContaining({ status: "undoing", "undo:b": `waiting 0 0 0 timer:${row} - - 0` }),
      "step:trip@1:b": [],
    });
    await pauses().resume({ tenant: "default" });
    await pauses().unpark("default");
    const due = (await bench.timers.dueTimers(10)).due.filter((each) => each.kind === "wake");
    const promoted = await bench.change(async () => (await bench.timers.promote(due))[0]!);
    expect(promoted).toMatchObject({
      "run:RUN": { status: "undoing", "undo:b": "queued 0 0 0 E - - 0" },
      "step:trip@1:b": ["E run=RUN tenant=default input= failures=0 crashes=0 wake=undo"],
    });
  });

  test("is not parked once its run has ended", async () => {
    const entry = await bench.undoing();
    await pauses().pause({ tenant: "default" });
    await bench.redis.hset(bench.keys.run(bench.run), "status", "failed");
    expect(await park(Reply.RunEnded, entry)).toEqual({ "step:trip@1:b": [] });
  });
});

test("a run of a lane is undone in it", async () => {
  const { store, run, keys, client } = bench;
  await store.admit({ id: run, graph: trip.graph, tenant: "default", input: "1", priority: "high" });
  for (const step of ["a", "b", "c", "b"]) {
    const stream = { ...bench.stream(step, trip), lane: "high" as const, key: keys.step(trip.graph, step, "high") };
    await ensureGroups(client, [stream]);
    const [entry] = await take(client, "ann", [[stream, 1]]);
    await bench.commit({ entry: entry!, startedAgoMs: 0, end: step === "c" ? dead : done });
  }
  expect(await bench.state()).toMatchObject({
    "run:RUN": { status: "undoing", "undo:b": "completed 1 0 0 - T T 0", "undo:a": "queued 0 0 0 E - - 0" },
    "step:trip@1:a:high": ["E run=RUN tenant=default input= wake=undo"],
  });
});
