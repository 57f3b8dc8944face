import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { deadLetterId, newRunId } from "../../../engine/ids.ts";
import { Reply } from "../../../engine/store.ts";
import { dead, done, markOf, runFailed, trip, UndoBench } from "../../support/undo.ts";

let bench: UndoBench;
beforeEach(() => {
  bench = new UndoBench();
});
afterEach(() => bench.close());

describe("dead letters of a run that was undone", () => {
  const graph = trip.graph;
  const place = (step: string, entry: string, undone: boolean, run = bench.run) => {
    return { id: deadLetterId(run, entry), run, entry, graph, tenant: "default", step, undo: undone };
  };

  /** Brings the run to its end, the undo of its second step being a dead letter; the entries of the two dead letters. */
  async function ended(): Promise<{ step: string; undo: string }> {
    const last = await bench.atLastStep();
    await bench.commit({ entry: last, startedAgoMs: 0, end: dead });
    const entry = await bench.next("b");
    await bench.commit({ entry, startedAgoMs: 0, end: dead });
    await bench.commit({ entry: await bench.next("a"), startedAgoMs: 0, end: done });
    return { step: last.id, undo: markOf(entry.id, 1) };
  }

  test("the step that failed is not replayed, while it is undone or later", async () => {
    const entry = await bench.atLastStep();
    await bench.commit({ entry, end: dead });
    const replay = () => bench.store.replay(place("c", entry.id, false));
    expect(await bench.change(replay, Reply.RunEnded)).toEqual({});
    for (const step of ["b", "a"]) await bench.commit({ entry: await bench.next(step), end: done });
    expect(await bench.change(replay, Reply.RunEnded)).toEqual({});
  });

  test("an undo is replayed: the run is undone again", async () => {
    const { undo: entry } = await ended();
    const changed = await bench.change(() => bench.store.replay(place("b", entry, true)), Reply.Done, { MARK: entry });
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
    expect(await bench.lastLine()).toBe('T {"type":"run.started","data":{"undo":true}}');
    await bench.commit({ entry: await bench.next("b"), end: done });
    expect(await bench.lastLine()).toBe(runFailed);
  });

  test("an undo is replayed while others go on: its turn is to come", async () => {
    const entry = await bench.undoing();
    const mark = markOf(entry.id, 1);
    await bench.commit({ entry, end: dead });
    const replay = () => bench.store.replay(place("b", mark, true));
    const changed = await bench.change(replay, Reply.Done, { MARK: mark });
    expect(Object.keys(changed).sort()).toEqual(["dead-letters:default", "dead:trip@1:b", "run:RUN"]);
    expect(changed["run:RUN"]).not.toHaveProperty("undo:b");
    expect(changed["run:RUN"]).toMatchObject({ status: "undoing", "undo:a": expect.stringMatching(/^queued/) });
  });

  test("nothing is replayed of an unknown run, a second time, or once the undo has gone on", async () => {
    const { step, undo: entry } = await ended();
    const replay = (which = place("b", entry, true)) => bench.store.replay(which);
    expect(await bench.change(() => replay(place("b", entry, true, newRunId(0))), Reply.UnknownRun)).toEqual({});
    expect(await bench.change(() => replay(place("c", step, true)), Reply.UnknownRun)).toEqual({});
    const key = bench.keys.run(bench.run);
    const record = await bench.redis.hget(key, "undo:b");
    await bench.redis.hset(key, "undo:b", "queued 0 0 0 1-1 - - 0");
    expect(await bench.change(replay, Reply.Stale)).toEqual({});
    await bench.redis.hset(key, "undo:b", record!);
    await replay();
    expect(await bench.change(replay, Reply.UnknownRun)).toEqual({});
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
    expect(await bench.change(() => bench.store.replay(place("b", entry, true)), Reply.WrongType)).toEqual({});
  });

  test("an undo is discarded: the step stays as it is", async () => {
    const { undo: entry } = await ended();
    const changed = await bench.change(() => bench.store.discard(place("b", entry, true)), Reply.Done, { MARK: entry });
    expect(Object.keys(changed).sort()).toEqual(["dead-letters:default", "dead:trip@1:b", "run:RUN"]);
    expect(changed["run:RUN"]).toMatchObject({ status: "failed", "undo:b": expect.stringMatching(/^failed/) });
  });
});
