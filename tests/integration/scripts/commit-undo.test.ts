import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { derivedRunId } from "../../../engine/ids.ts";
import { Reply } from "../../../engine/store.ts";
import { dead, done, error, markOf, runFailed, trip, UndoBench } from "../../support/undo.ts";

let bench: UndoBench;
beforeEach(() => {
  bench = new UndoBench();
});
afterEach(() => bench.close());

describe("commit-undo", () => {
  const shown = '{"name":"Error","message":"no"}';
  const started = 'T {"type":"step.started","step":"b","attempt":1,"data":{"undo":true}}';

  test("a start, told once", async () => {
    const entry = await bench.undoing();
    expect(await bench.change(() => bench.commit({ entry, startedAgoMs: 0 }))).toEqual({
      "log:RUN": expect.arrayContaining([started]),
      "run:RUN": expect.objectContaining({
        status: "undoing",
        "undo:b": "running 1 0 0 E T - 0",
      }),
    });
    expect(await bench.change(() => bench.commit({ entry, startedAgoMs: 0 }))).toEqual({});
  });

  test("events, once for each batch", async () => {
    const entry = await bench.undoing();
    const events = ['{"type":"step.output","step":"b","attempt":1,"data":{"text":"x","undo":true}}'];
    const item = { entry, batch: 1, events, progress: { progress: 0.5 } };
    const changed = await bench.change(() => bench.commit(item));
    expect(await bench.lastLine()).toBe(`T ${events[0]}`);
    expect(changed["run:RUN"]).not.toHaveProperty("progress:b");
    expect(await bench.change(() => bench.commit(item))).toEqual({});
  });

  test("what was used, once for each batch, with or without events", async () => {
    const entry = await bench.undoing();
    await bench.redis.hset(bench.keys.run(bench.run), { usage: "10 20", "usage:b": "5 0", budget: "1 -" });
    const used = { tokens: 3, billionths: 4 };
    const item = { entry, batch: 1, events: [], usage: { ...used, byKey: new Map([["ann", used]]) } };
    const changed = await bench.change(() => bench.commit(item));
    expect(Object.keys(changed).sort()).toEqual(["run:RUN", "timers", "usage:default", "usage:default:ann"]);
    expect(changed["run:RUN"]).toMatchObject({ status: "undoing", usage: "13 24", "usage:b": "8 4" });
    for (const key of ["usage:default", "usage:default:ann"])
      expect(Object.values(changed[key] as Record<string, string>)).toEqual([expect.stringMatching(/^\d+ 3 4$/)]);
    expect(changed.timers).toEqual({ "usage|default:ann": "T" });
    expect(await bench.change(() => bench.commit(item))).toEqual({});
    await bench.change(() => bench.commit({ ...item, batch: 2, end: done }));
    expect(await bench.redis.hget(bench.keys.run(bench.run), "usage")).toBe("16 28");
  });

  test("changes nothing where the key of what was used is of another type", async () => {
    const entry = await bench.undoing();
    await bench.redis.set(bench.keys.usage("default"), "not ours");
    const item = { entry, batch: 1, events: [], usage: { tokens: 3, billionths: 4, byKey: new Map() } };
    expect(await bench.change(() => bench.commit(item), Reply.WrongType)).toEqual({});
  });

  test("completed: the step before is to be undone", async () => {
    const entry = await bench.undoing();
    expect(await bench.change(() => bench.commit({ entry, startedAgoMs: 0, end: done }))).toEqual({
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
    await bench.commit({ entry: await bench.undoing(), startedAgoMs: 0, end: done });
    const entry = await bench.next("a");
    expect(await bench.change(() => bench.commit({ entry, startedAgoMs: 0, end: done }))).toEqual({
      "log:RUN": expect.anything(),
      "run:RUN": expect.objectContaining({ status: "failed", endedAt: "T", "undo:a": "completed 1 0 0 - T T 0" }),
      "runs:default:status:failed": { RUN: "T" },
      "runs:default:status:running": "gone",
      "ends:default": ["T RUN trip"],
      "step:trip@1:a": [],
    });
    expect(await bench.lastLine()).toBe(runFailed);
  });

  test("the last undo of a cancelled run, whose parent waits for it", async () => {
    bench.close();
    bench = new UndoBench(trip, await derivedRunId(0, ["a child"]));
    await bench.atLastStep();
    const { keys, redis, run, store } = bench;
    await redis.hset(keys.run(run), "parent", "child|default|PARENT|outer|1|inner|");
    await store.cancel(run, trip.graph, "default");
    expect(await redis.zcard(keys.timers())).toBe(0);
    await bench.commit({ entry: await bench.next("b"), end: done });
    const changed = await bench.change(
      async () => bench.commit({ entry: await bench.next("a"), end: done }),
      Reply.DoneAndDue,
    );
    expect(changed).toMatchObject({
      "run:RUN": { status: "cancelled" },
      "runs:default:status:cancelled": { RUN: "T" },
      "runs:default:status:running": "gone",
      "ends:default": ["T RUN trip"],
      timers: { "wake|child|default|PARENT|outer|1|inner||RUN": "T" },
    });
    expect(await bench.lastLine()).toBe('T {"type":"run.cancelled"}');
  });

  test("released: it is queued again, uncharged", async () => {
    const entry = await bench.undoing();
    expect(await bench.change(() => bench.commit({ entry, startedAgoMs: 0, end: { kind: "release" } }))).toEqual({
      "log:RUN": expect.arrayContaining([started]),
      "run:RUN": expect.objectContaining({ "undo:b": "queued 1 0 0 E - - 0" }),
      "step:trip@1:b": ["E run=RUN tenant=default input= failures=0 crashes=0 wake=undo"],
    });
    expect(await bench.next("b")).toMatchObject({ wake: "undo", failures: 0, crashes: 0, count: 1 });
  });

  test("retrying: a timer row brings it back", async () => {
    const entry = await bench.undoing();
    const row = "wake|retry:undo|default|RUN|trip|1|b||E";
    expect(
      await bench.change(() => bench.commit({ entry, startedAgoMs: 0, end: { kind: "retry", error, delayMs: 5_000 } })),
    ).toEqual({
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
    const entry = await bench.undoing();
    const names = { MARK: markOf(entry.id, 1) };
    expect(await bench.change(() => bench.commit({ entry, startedAgoMs: 0, end: dead }), Reply.Done, names)).toEqual({
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
      const entry = await bench.undoing();
      expect(await bench.change(() => bench.commit({ entry, end: done }, "bob"), Reply.NotOwner)).toEqual({});
      const again = { ...entry, count: 2 };
      expect(await bench.change(() => bench.commit({ entry: again, end: done }), Reply.NotOwner)).toEqual({});
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
      const entry = await bench.undoing();
      await prepare(bench.keys.run(bench.run));
      expect(await bench.change(() => bench.commit({ entry, startedAgoMs: 0 }), reply)).toEqual({
        "step:trip@1:b": [],
      });
      expect(await bench.change(() => bench.commit({ entry, end: done }), Reply.NotOwner)).toEqual({});
    });

    test.each([
      "run",
      "log",
      "timers",
      "delayed",
      "dead",
      "letters",
      "ends",
      "running",
      "failed",
      "cancelled",
      "stream",
    ])("where a key is of the wrong type: %s", async (which) => {
      const entry = await bench.undoing();
      const { keys, run, redis } = bench;
      const key = {
        run: keys.run(run),
        log: keys.log(run),
        timers: keys.timers(),
        delayed: keys.delayed(),
        dead: keys.dead(trip.graph, "b"),
        letters: keys.deadLetters("default"),
        ends: keys.ends("default"),
        running: keys.runsByStatus("default", "running"),
        failed: keys.runsByStatus("default", "failed"),
        cancelled: keys.runsByStatus("default", "cancelled"),
        stream: keys.step(trip.graph, "a"),
      }[which]!;
      await redis.del(key);
      await redis.set(key, "not ours");
      expect(await bench.change(() => bench.commit({ entry, end: done }), Reply.WrongType)).toEqual({});
    });
  });
});
