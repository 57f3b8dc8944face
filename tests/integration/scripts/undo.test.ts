import { any } from "valibot";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { CommitItem } from "../../../engine/commit-args.ts";
import type { Entry } from "../../../engine/entry.ts";
import { deadLetterId, newRunId } from "../../../engine/ids.ts";
import { workflow } from "../../../engine/index.ts";
import { Reply } from "../../../engine/store.ts";
import { ensureGroups, take } from "../../../engine/streams.ts";
import { parseTimerRow, type ScriptedRow } from "../../../engine/timer-rows.ts";
import { changes, type State } from "../../support/state.ts";
import { StoreBench } from "../../support/store.ts";

const undo = () => null;
const trip = workflow("trip", { input: any() })
  .step("a", { run: () => 1, undo })
  .step("b", { run: () => 2, undo })
  .step("c", () => 3);

let bench: StoreBench;
beforeEach(() => {
  bench = new StoreBench();
});
afterEach(() => bench.close());

const error = { name: "Error", message: "no", stack: "Error: no\n    at x.ts:1" };
const shown = '{"name":"Error","message":"no"}';
const dead: CommitItem["end"] = { kind: "dead", error };
const done: CommitItem["end"] = { kind: "complete", output: "1" };
const retrying: CommitItem["end"] = { kind: "retry", error, delayMs: 5_000 };

/** What there is, every entry's id being E: which is which is seen by the stream that it is in. */
async function state(names: Record<string, string> = {}): Promise<State> {
  return JSON.parse(JSON.stringify(await bench.state(names)).replace(/\bE\d+\b/g, "E"));
}

async function change(act: () => Promise<Reply>, expected: Reply = Reply.Done, names: Record<string, string> = {}) {
  const before = await state(names);
  expect(await act()).toBe(expected);
  return changes(before, await state(names));
}

async function next(step: string): Promise<Entry> {
  const stream = bench.stream(step, trip);
  await ensureGroups(bench.client, [stream]);
  const [entry] = await take(bench.client, "ann", [[stream, 1]]);
  return entry!;
}

/** Has ann hold the run's third step, the two before it being completed. */
async function atLastStep(): Promise<Entry> {
  await bench.store.admit({ id: bench.run, graph: trip.graph, tenant: "default", input: "1" });
  for (const step of ["a", "b"]) await bench.commit({ entry: await next(step), startedAgoMs: 0, end: done });
  return next("c");
}

/** Fails the run, and has ann hold the undo of its second step. */
async function held(): Promise<Entry> {
  await bench.commit({ entry: await atLastStep(), startedAgoMs: 0, end: dead });
  return next("b");
}

/** What stands for the entry of an undo in its dead letter's id: the step's place in the graph is in it. */
const markOf = (entry: string, index: number) =>
  entry.replace(/\d+$/, (seq) => `${(index + 1) * 1_000_000 + Number(seq)}`);
const lastLines = async (count: number) => ((await state())["log:RUN"] as string[]).slice(-count);
const runFailed =
  'T {"type":"run.failed","data":{"error":{"name":"Error","message":"no"},"step":"c","deadLetter":"RUN-E"}}';

describe("the end of a run with something to undo begins with that", () => {
  test("it fails: the step that was done last is to be undone, and the event is kept", async () => {
    const entry = await atLastStep();
    const changed = await change(() => bench.commit({ entry, startedAgoMs: 0, end: dead }));
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
    expect((await state())["runs:default:status:running"]).toEqual({ RUN: "T" });
  });

  test("it is cancelled", async () => {
    await atLastStep();
    const cancel = () => bench.store.cancel(bench.run, trip.graph, "default");
    expect(await change(cancel)).toEqual({
      "run:RUN": expect.objectContaining({
        status: "undoing",
        ending: 'cancelled {"type":"run.cancelled"}',
        "step:c": "cancelled 0 0 0 - - T 0",
        "undo:b": "queued 0 0 0 E - - 0",
      }),
      "step:trip@1:b": ["E run=RUN tenant=default input= wake=undo"],
      "step:trip@1:c": [],
    });
    expect(await change(cancel, Reply.Already)).toEqual({});
  });

  test("a cancelled run that waited is at work again", async () => {
    await atLastStep();
    const { keys, redis, run } = bench;
    await redis.hset(keys.run(run), "status", "waiting");
    await redis.del(keys.runsByStatus("default", "running"));
    await redis.zadd(keys.runsByStatus("default", "waiting"), 1_700_000_000_000, run);
    expect(await change(() => bench.store.cancel(run, trip.graph, "default"))).toMatchObject({
      "runs:default:status:waiting": "gone",
      "runs:default:status:running": { RUN: "T" },
    });
  });

  test("with nothing done that can be undone it ends as any run", async () => {
    await bench.store.admit({ id: bench.run, graph: trip.graph, tenant: "default", input: "1" });
    const changed = await change(async () => bench.commit({ entry: await next("a"), startedAgoMs: 0, end: dead }));
    expect(changed["run:RUN"]).toMatchObject({ status: "failed", endedAt: "T" });
    expect(changed["run:RUN"]).not.toHaveProperty("ending");
    expect(changed["runs:default:status:failed"]).toEqual({ RUN: "T" });
  });

  test("steps that were done in one millisecond are undone against the order of the graph", async () => {
    const entry = await atLastStep();
    const key = bench.keys.run(bench.run);
    for (const step of ["a", "b"]) await bench.redis.hset(key, `step:${step}`, "completed 1 0 0 - 5 5 0");
    await bench.commit({ entry, end: dead });
    expect(await bench.redis.hget(key, "undo:b")).toMatch(/^queued/);
    expect(await bench.redis.hget(key, "undo:a")).toBeNull();
  });

  test("a result that comes after it is refused, and its entry is gone", async () => {
    const entry = await held();
    await bench.redis.hset(bench.keys.run(bench.run), "step:c", "running 1 0 0 1-1 5 - 0");
    await bench.redis.xadd(bench.keys.step(trip.graph, "c"), "*", "run", bench.run, "tenant", "default", "input", "");
    const late = await next("c");
    expect(await change(() => bench.commit({ entry: late, startedAgoMs: 0, end: done }), Reply.RunEnded)).toEqual({
      "step:trip@1:c": [],
    });
    expect(entry.wake).toBe("undo");
  });
});

describe("commit-undo", () => {
  const started = 'T {"type":"step.started","step":"b","attempt":1,"data":{"undo":true}}';

  test("a start, told once", async () => {
    const entry = await held();
    expect(await change(() => bench.commit({ entry, startedAgoMs: 0 }))).toEqual({
      "log:RUN": expect.arrayContaining([started]),
      "run:RUN": expect.objectContaining({
        status: "undoing",
        "undo:b": "running 1 0 0 E T - 0",
      }),
    });
    expect(await change(() => bench.commit({ entry, startedAgoMs: 0 }))).toEqual({});
  });

  test("events, once for each batch", async () => {
    const entry = await held();
    const events = ['{"type":"step.output","step":"b","attempt":1,"data":{"text":"x","undo":true}}'];
    const item = { entry, batch: 1, events, progress: { progress: 0.5 } };
    const changed = await change(() => bench.commit(item));
    expect(await lastLines(1)).toEqual([`T ${events[0]}`]);
    expect(changed["run:RUN"]).not.toHaveProperty("progress:b");
    expect(await change(() => bench.commit(item))).toEqual({});
  });

  test("completed: the step before is to be undone", async () => {
    const entry = await held();
    expect(await change(() => bench.commit({ entry, startedAgoMs: 0, end: done }))).toEqual({
      "log:RUN": expect.arrayContaining([started, started.replace("started", "completed")]),
      "run:RUN": expect.objectContaining({
        status: "undoing",
        "undo:b": "completed 1 0 0 - T T 0",
        "undo:a": "queued 0 0 0 E - - 0",
      }),
      "step:trip@1:a": ["E run=RUN tenant=default input= wake=undo"],
      "step:trip@1:b": [],
    });
  });

  test("completed, the last: the run ends as it was to", async () => {
    await bench.commit({ entry: await held(), startedAgoMs: 0, end: done });
    const entry = await next("a");
    expect(await change(() => bench.commit({ entry, startedAgoMs: 0, end: done }))).toEqual({
      "log:RUN": expect.anything(),
      "run:RUN": expect.objectContaining({ status: "failed", endedAt: "T", "undo:a": "completed 1 0 0 - T T 0" }),
      "runs:default:status:failed": { RUN: "T" },
      "runs:default:status:running": "gone",
      "step:trip@1:a": [],
    });
    expect(await lastLines(1)).toEqual([runFailed]);
  });

  test("the last undo of a cancelled run, whose parent waits for it", async () => {
    await atLastStep();
    const { keys, redis, run, store } = bench;
    await redis.hset(keys.run(run), "parent", "child|default|PARENT|outer|1|inner|");
    await store.cancel(run, trip.graph, "default");
    expect(await redis.zcard(keys.timers())).toBe(0);
    await bench.commit({ entry: await next("b"), end: done });
    const changed = await change(async () => bench.commit({ entry: await next("a"), end: done }), Reply.DoneAndDue);
    expect(changed).toMatchObject({
      "run:RUN": { status: "cancelled" },
      "runs:default:status:cancelled": { RUN: "T" },
      "runs:default:status:running": "gone",
      timers: { "wake|child|default|PARENT|outer|1|inner||RUN": "T" },
    });
    expect(await lastLines(1)).toEqual(['T {"type":"run.cancelled"}']);
  });

  test("released: it is queued again, uncharged", async () => {
    const entry = await held();
    expect(await change(() => bench.commit({ entry, startedAgoMs: 0, end: { kind: "release" } }))).toEqual({
      "log:RUN": expect.arrayContaining([started]),
      "run:RUN": expect.objectContaining({ "undo:b": "queued 1 0 0 E - - 0" }),
      "step:trip@1:b": ["E run=RUN tenant=default input= failures=0 crashes=0 wake=undo"],
    });
    expect(await next("b")).toMatchObject({ wake: "undo", failures: 0, crashes: 0, count: 1 });
  });

  test("retrying: a timer row brings it back", async () => {
    const entry = await held();
    const row = "wake|undo|default|RUN|trip|1|b||E";
    expect(await change(() => bench.commit({ entry, startedAgoMs: 0, end: retrying }))).toEqual({
      delayed: { "trip@1:b": "1" },
      "log:RUN": expect.arrayContaining([
        `T {"type":"step.retrying","step":"b","attempt":1,"data":{"error":${shown},"delayMs":5000,"undo":true}}`,
      ]),
      "run:RUN": expect.objectContaining({
        "undo:b": `retrying 1 1 0 timer:${row} T - 0`,
        "undoError:b": JSON.stringify(error),
      }),
      "step:trip@1:b": [],
      timers: { [row]: "T" },
    });
  });

  test("failed: it is a dead letter, and the step before is to be undone", async () => {
    const entry = await held();
    const names = { MARK: markOf(entry.id, 1) };
    expect(await change(() => bench.commit({ entry, startedAgoMs: 0, end: dead }), Reply.Done, names)).toEqual({
      "dead-letters:default": { "RUN-E": "T", "RUN-MARK": "T" },
      "dead:trip@1:b": [expect.stringMatching(/^E id=RUN-MARK run=RUN tenant=default attempt=1 error=.* undo=1$/)],
      "log:RUN": expect.arrayContaining([
        `T {"type":"step.failed","step":"b","attempt":1,"data":{"error":${shown},"deadLetter":"RUN-MARK","undo":true}}`,
      ]),
      "run:RUN": expect.objectContaining({
        status: "undoing",
        "dead:MARK": "b E undo",
        "undo:b": "failed 1 0 0 dead:E T T 0",
        "undoError:b": JSON.stringify(error),
        "undo:a": "queued 0 0 0 E - - 0",
      }),
      "step:trip@1:a": ["E run=RUN tenant=default input= wake=undo"],
      "step:trip@1:b": [],
    });
  });

  describe("is refused", () => {
    test("by an entry that another has, or that has another count: nothing is written", async () => {
      const entry = await held();
      expect(await change(() => bench.commit({ entry, end: done }, "bob"), Reply.NotOwner)).toEqual({});
      const again = { ...entry, count: 2 };
      expect(await change(() => bench.commit({ entry: again, end: done }), Reply.NotOwner)).toEqual({});
    });

    test.each([
      ["a run that has ended", Reply.RunEnded, (key: string) => bench.redis.hset(key, "status", "failed")],
      ["an unknown run", Reply.UnknownRun, (key: string) => bench.redis.del(key)],
      [
        "an undo that is elsewhere",
        Reply.Stale,
        (key: string) => bench.redis.hset(key, "undo:b", "queued 0 0 0 1-1 - - 0"),
      ],
      ["a step that is not undone", Reply.Stale, (key: string) => bench.redis.hdel(key, "undo:b")],
    ])("for %s, and its entry is gone", async (_, reply, prepare) => {
      const entry = await held();
      await prepare(bench.keys.run(bench.run));
      expect(await change(() => bench.commit({ entry, startedAgoMs: 0 }), reply)).toEqual({ "step:trip@1:b": [] });
      expect(await change(() => bench.commit({ entry, end: done }), Reply.NotOwner)).toEqual({});
    });

    test.each(["run", "log", "timers", "delayed", "dead", "letters", "running", "failed", "cancelled", "stream"])(
      "where a key is of the wrong type: %s",
      async (which) => {
        const entry = await held();
        const { keys, run, redis } = bench;
        const key = {
          run: keys.run(run),
          log: keys.log(run),
          timers: keys.timers(),
          delayed: keys.delayed(),
          dead: keys.dead(trip.graph, "b"),
          letters: keys.deadLetters("default"),
          running: keys.runsByStatus("default", "running"),
          failed: keys.runsByStatus("default", "failed"),
          cancelled: keys.runsByStatus("default", "cancelled"),
          stream: keys.step(trip.graph, "a"),
        }[which]!;
        await redis.del(key);
        await redis.set(key, "not ours");
        expect(await change(() => bench.commit({ entry, end: done }), Reply.WrongType)).toEqual({});
      },
    );
  });
});

describe("promote of the row of an undo", () => {
  async function rowOf(delayMs: number): Promise<ScriptedRow> {
    await bench.commit({ entry: await held(), startedAgoMs: 0, end: { kind: "retry", error, delayMs } });
    const [member] = await bench.redis.zrange(bench.keys.timers(), "0", "-1");
    return parseTimerRow(member!) as ScriptedRow;
  }
  const promote = (row: ScriptedRow, expected: Reply) =>
    change(async () => (await bench.timers.promote([row]))[0]!, expected);

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

describe("dead letters of a run that was undone", () => {
  const graph = trip.graph;
  const place = (step: string, entry: string, undone: boolean, run = bench.run) => {
    return { id: deadLetterId(run, entry), run, entry, graph, tenant: "default", step, undo: undone };
  };

  /** Brings the run to its end, the undo of its second step being a dead letter; the entries of the two dead letters. */
  async function ended(): Promise<{ step: string; undo: string }> {
    const last = await atLastStep();
    await bench.commit({ entry: last, startedAgoMs: 0, end: dead });
    const entry = await next("b");
    await bench.commit({ entry, startedAgoMs: 0, end: dead });
    await bench.commit({ entry: await next("a"), startedAgoMs: 0, end: done });
    return { step: last.id, undo: markOf(entry.id, 1) };
  }

  test("the step that failed is not replayed, while it is undone or later", async () => {
    const entry = await atLastStep();
    await bench.commit({ entry, end: dead });
    const replay = () => bench.store.replay(place("c", entry.id, false));
    expect(await change(replay, Reply.RunEnded)).toEqual({});
    for (const step of ["b", "a"]) await bench.commit({ entry: await next(step), end: done });
    expect(await change(replay, Reply.RunEnded)).toEqual({});
  });

  test("an undo is replayed: the run is undone again", async () => {
    const { undo: entry } = await ended();
    const changed = await change(() => bench.store.replay(place("b", entry, true)), Reply.Done, { MARK: entry });
    expect(changed).toEqual({
      "dead-letters:default": { "RUN-E": "T" },
      "dead:trip@1:b": [],
      "log:RUN": expect.anything(),
      "run:RUN": expect.objectContaining({
        status: "undoing",
        "undo:b": "queued 0 0 0 E - - 0",
      }),
      "runs:default:status:failed": "gone",
      "runs:default:status:running": { RUN: "T" },
      "step:trip@1:b": ["E run=RUN tenant=default input= wake=undo"],
    });
    for (const field of ["endedAt", "undoError:b"]) expect(changed["run:RUN"]).not.toHaveProperty(field);
    expect(await lastLines(1)).toEqual(['T {"type":"run.started","data":{"undo":true}}']);
    await bench.commit({ entry: await next("b"), end: done });
    expect(await lastLines(1)).toEqual([runFailed]);
  });

  test("an undo is replayed while others go on: its turn is to come", async () => {
    const entry = await held();
    const mark = markOf(entry.id, 1);
    await bench.commit({ entry, end: dead });
    const replay = () => bench.store.replay(place("b", mark, true));
    const changed = await change(replay, Reply.Done, { MARK: mark });
    expect(Object.keys(changed).sort()).toEqual(["dead-letters:default", "dead:trip@1:b", "run:RUN"]);
    expect(changed["run:RUN"]).not.toHaveProperty("undo:b");
    expect(changed["run:RUN"]).toMatchObject({ status: "undoing", "undo:a": expect.stringMatching(/^queued/) });
  });

  test("nothing is replayed of an unknown run, a second time, or once the undo has gone on", async () => {
    const { step, undo: entry } = await ended();
    const replay = (which = place("b", entry, true)) => bench.store.replay(which);
    expect(await change(() => replay(place("b", entry, true, newRunId(0))), Reply.UnknownRun)).toEqual({});
    expect(await change(() => replay(place("c", step, true)), Reply.UnknownRun)).toEqual({});
    const key = bench.keys.run(bench.run);
    const record = await bench.redis.hget(key, "undo:b");
    await bench.redis.hset(key, "undo:b", "queued 0 0 0 1-1 - - 0");
    expect(await change(replay, Reply.Stale)).toEqual({});
    await bench.redis.hset(key, "undo:b", record!);
    await replay();
    expect(await change(replay, Reply.UnknownRun)).toEqual({});
  });

  test.each(["log", "dead", "letters", "index", "stream"])("a key of the wrong type refuses it: %s", async (which) => {
    const { undo: entry } = await ended();
    const { keys, run, redis } = bench;
    const key = {
      log: keys.log(run),
      dead: keys.dead(graph, "b"),
      letters: keys.deadLetters("default"),
      index: keys.runsByStatus("default", "running"),
      stream: keys.step(graph, "b"),
    }[which]!;
    await redis.del(key);
    await redis.set(key, "not ours");
    expect(await change(() => bench.store.replay(place("b", entry, true)), Reply.WrongType)).toEqual({});
  });

  test("an undo is discarded: the step stays as it is", async () => {
    const { undo: entry } = await ended();
    const changed = await change(() => bench.store.discard(place("b", entry, true)), Reply.Done, { MARK: entry });
    expect(Object.keys(changed).sort()).toEqual(["dead-letters:default", "dead:trip@1:b", "run:RUN"]);
    expect(changed["run:RUN"]).toMatchObject({ status: "failed", "undo:b": expect.stringMatching(/^failed/) });
  });
});
