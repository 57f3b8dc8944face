import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { CommitItem } from "../../../engine/commit-args.ts";
import type { Entry } from "../../../engine/entry.ts";
import { decodeEvent, parseCursor } from "../../../engine/events.ts";
import { deadLetterId, newRunId } from "../../../engine/ids.ts";
import { Reply } from "../../../engine/store.ts";
import { changes } from "../../support/state.ts";
import { StoreBench, two } from "../../support/store.ts";

let bench: StoreBench;
let entry: Entry;
beforeEach(async () => {
  bench = new StoreBench();
  entry = await bench.held();
});
afterEach(() => bench.close());

const error = { name: "Error", message: "no", stack: "Error: no\n    at x.ts:1" };
const completed: CommitItem["end"] = { kind: "complete", output: '{"out":[]}' };
const retrying: CommitItem["end"] = { kind: "retry", error, delayMs: 5_000 };
const dead: CommitItem["end"] = { kind: "dead", error };
const released: CommitItem["end"] = { kind: "release" };

/** Commits an item, and says what that has changed. */
async function change(item: Partial<CommitItem>, expected: Reply = Reply.Done, names: Record<string, string> = {}) {
  const before = await bench.state(names);
  expect(await bench.commit({ entry, ...item })).toBe(expected);
  return changes(before, await bench.state(names));
}

describe("commit of what is told on the way", () => {
  test("a start: the run and the step are running", async () => {
    expect(await change({ startedAgoMs: 3 })).toEqual({
      "log:RUN": [
        'T {"type":"run.queued"}',
        'T~3 {"type":"run.started"}',
        'T~3 {"type":"step.started","step":"a","attempt":1}',
      ],
      "run:RUN": expect.objectContaining({ status: "running", "step:a": "running 1 0 0 E1 T - 0" }),
      "runs:default:status:queued": "gone",
      "runs:default:status:running": { RUN: "T" },
    });
  });

  test("the same start again changes nothing", async () => {
    await change({ startedAgoMs: 0 });
    expect(await change({ startedAgoMs: 0 })).toEqual({});
  });

  test("events and progress, once for each batch", async () => {
    await change({ startedAgoMs: 0 });
    const events = ['{"type":"step.output","step":"a","attempt":1,"data":{"text":"x"}}'];
    const item = { batch: 1, events, progress: { progress: 0.5 } };
    expect(await change(item)).toEqual({
      "log:RUN": expect.arrayContaining([`T ${events[0]}`]),
      "run:RUN": expect.objectContaining({ "progress:a": '{"progress":0.5}', "step:a": "running 1 0 0 E1 T - 1" }),
    });
    expect(await change(item)).toEqual({});
  });

  test("a start that is told late has the time at which it was", async () => {
    await change({ startedAgoMs: 60_000 });
    const lines = await bench.redis.lrange(bench.keys.log(bench.run), 0, 1);
    const [queued, started] = lines.map((line, i) => decodeEvent(bench.run, i + 1, line));
    expect(Date.parse(queued!.at) - Date.parse(started!.at)).toBeGreaterThan(50_000);
    // Its place in the log is that of when it was stored.
    expect(parseCursor(started!.cursor)!.at_ms).toBeGreaterThanOrEqual(parseCursor(queued!.cursor)!.at_ms!);
  });

  test("it is a heartbeat too", async () => {
    const idle = async () => {
      const [pending] = (await bench.redis.xpending(entry.stream.key, "workers", "-", "+", 1)) as [
        string,
        string,
        number,
      ][];
      return pending![2];
    };
    await bench.redis.xclaim(entry.stream.key, "workers", "ann", 0, entry.id, "IDLE", 60_000, "JUSTID");
    expect(await idle()).toBeGreaterThanOrEqual(60_000);
    await change({ batch: 1, events: ['{"type":"step.output","step":"a"}'] });
    expect(await idle()).toBeLessThan(10_000);
  });
});

describe("commit of an end", () => {
  test("completed, a step comes next: it is in its stream, with the output as its input", async () => {
    expect(await change({ startedAgoMs: 0, end: completed })).toEqual({
      "log:RUN": [
        'T {"type":"run.queued"}',
        'T {"type":"run.started"}',
        'T {"type":"step.started","step":"a","attempt":1}',
        'T {"type":"step.completed","step":"a","attempt":1}',
      ],
      "run:RUN": expect.objectContaining({
        status: "running",
        "step:a": "completed 1 0 0 - T T 0",
        "output:a": '{"out":[]}',
        "step:b": "queued 0 0 0 E1 - - 0",
      }),
      "runs:default:status:queued": "gone",
      "runs:default:status:running": { RUN: "T" },
      "step:two@1:a": [],
      "step:two@1:b": ['E1 run=RUN tenant=default input={"out":[]}'],
    });
  });

  test("completed with a large output: the next entry does not carry it", async () => {
    const output = JSON.stringify("x".repeat(3_000));
    const changed = await change({ startedAgoMs: 0, end: { kind: "complete", output } });
    expect(changed["step:two@1:b"]).toEqual(["E1 run=RUN tenant=default input="]);
    expect(changed["run:RUN"]).toMatchObject({ "output:a": output });
  });

  test("the last step completed: the run has", async () => {
    await bench.commit({ entry, startedAgoMs: 0, end: completed });
    entry = (await bench.take("b"))[0]!;
    const last: CommitItem["end"] = { kind: "complete", output: "2" };
    expect(await change({ startedAgoMs: 0, end: last })).toEqual({
      "log:RUN": expect.arrayContaining(['T {"type":"run.completed"}']),
      "run:RUN": expect.objectContaining({
        status: "completed",
        endedAt: "T",
        "output:b": "2",
        "step:b": "completed 1 0 0 - T T 0",
      }),
      "runs:default:status:running": "gone",
      "runs:default:status:completed": { RUN: "T" },
      "ends:default": ["T RUN two"],
      "step:two@1:b": [],
    });
  });

  test("retrying: a timer row has its place, and its step is counted as delayed", async () => {
    const row = "wake|retry|default|RUN|two|1|a||ENTRY";
    expect(await change({ startedAgoMs: 0, end: retrying }, Reply.Done, { ENTRY: entry.id })).toEqual({
      delayed: { "two@1:a": "1" },
      "log:RUN": expect.arrayContaining([
        'T {"type":"step.retrying","step":"a","attempt":1,"data":{"error":{"name":"Error","message":"no"},"delayMs":5000}}',
      ]),
      "run:RUN": expect.objectContaining({
        status: "running",
        "step:a": `retrying 1 1 0 timer:${row} T - 0`,
        "error:a": JSON.stringify(error),
      }),
      "runs:default:status:queued": "gone",
      "runs:default:status:running": { RUN: "T" },
      "step:two@1:a": [],
      timers: { [row]: "T" },
    });
  });

  test("failed for good: a dead letter has its place, and the run has failed", async () => {
    const letter = deadLetterId(bench.run, entry.id);
    expect(await change({ startedAgoMs: 0, end: dead }, Reply.Done, { LETTER: letter, ENTRY: entry.id })).toEqual({
      "dead-letters:default": { LETTER: "T" },
      "dead:two@1:a": [`E1 id=LETTER run=RUN tenant=default attempt=1 error=${JSON.stringify(error)}`],
      "log:RUN": expect.arrayContaining([
        'T {"type":"step.failed","step":"a","attempt":1,"data":{"error":{"name":"Error","message":"no"}}}',
        'T {"type":"run.failed","data":{"error":{"name":"Error","message":"no"},"step":"a","deadLetter":"LETTER"}}',
      ]),
      "run:RUN": expect.objectContaining({
        status: "failed",
        endedAt: "T",
        error: JSON.stringify(error),
        "error:a": JSON.stringify(error),
        "dead:ENTRY": "a E1",
        "step:a": "failed 1 0 0 dead:E1 T T 0",
      }),
      "runs:default:status:queued": "gone",
      "runs:default:status:failed": { RUN: "T" },
      "ends:default": ["T RUN two"],
      "step:two@1:a": [],
    });
  });

  test("released: it is in its stream again, uncharged", async () => {
    expect(await change({ end: released })).toEqual({
      "run:RUN": expect.objectContaining({ status: "queued", "step:a": "queued 1 0 0 E1 - - 0" }),
      "step:two@1:a": ['E1 run=RUN tenant=default input={"n":1} failures=0 crashes=0'],
    });
  });

  test("the events of an attempt come before its end", async () => {
    await change({ startedAgoMs: 0, batch: 1, events: ['{"type":"step.output","step":"a"}'], end: completed });
    const lines = await bench.redis.lrange(bench.keys.log(bench.run), 0, -1);
    expect(lines.map((line) => JSON.parse(line.slice(line.indexOf(" "))).type)).toEqual([
      "run.queued",
      "run.started",
      "step.started",
      "step.output",
      "step.completed",
    ]);
  });
});

describe("commit refuses", () => {
  const ends = { completed, retrying, dead, released, events: undefined };

  test.each(Object.entries(ends))("another consumer: %s", async (_, end) => {
    const before = await bench.state();
    expect(await bench.commit({ entry, startedAgoMs: 0, ...(end && { end }) }, "bob")).toBe(Reply.NotOwner);
    expect(await bench.state()).toEqual(before);
  });

  test.each(Object.entries(ends))("the owner with an older delivery count: %s", async (_, end) => {
    await bench.redis.xclaim(entry.stream.key, "workers", "ann", 0, entry.id);
    expect(await change({ startedAgoMs: 0, ...(end && { end }) }, Reply.NotOwner)).toEqual({});
  });

  test.each(Object.entries(ends).filter(([name]) => name !== "events"))("the same end again: %s", async (_, end) => {
    await change({ startedAgoMs: 0, end });
    expect(await change({ startedAgoMs: 0, end }, Reply.NotOwner)).toEqual({});
  });

  test("a run that has ended: its entry is given up, and nothing else changes", async () => {
    await bench.redis.hset(bench.keys.run(bench.run), "status", "completed");
    expect(await change({ startedAgoMs: 0, end: completed }, Reply.RunEnded)).toEqual({ "step:two@1:a": [] });
  });

  test("an unknown run: its entry is given up", async () => {
    await bench.redis.del(bench.keys.run(bench.run));
    expect(await change({ startedAgoMs: 0, end: completed }, Reply.UnknownRun)).toEqual({ "step:two@1:a": [] });
  });

  test("a step that is at another place by now: its entry is given up", async () => {
    await bench.redis.hset(bench.keys.run(bench.run), "step:a", "queued 0 0 0 1-1 - - 0");
    expect(await change({ startedAgoMs: 0, end: completed }, Reply.Stale)).toEqual({ "step:two@1:a": [] });
  });

  test.each(["run", "log", "stream", "next", "dead", "index", "ends", "timers"])(
    "a key of the wrong type: %s",
    async (which) => {
      const { keys, run, redis } = bench;
      const key = {
        run: keys.run(run),
        log: keys.log(run),
        stream: entry.stream.key,
        next: keys.step(two.graph, "b"),
        dead: keys.dead(two.graph, "a"),
        index: keys.runsByStatus("default", "running"),
        ends: keys.ends("default"),
        timers: keys.timers(),
      }[which]!;
      await redis.set(key, "not ours");
      for (const end of [completed, retrying, dead])
        expect(await change({ startedAgoMs: 0, end }, Reply.WrongType)).toEqual({});
    },
  );
});

describe("a group", () => {
  test("each item has its own reply; what is refused does not hold up the rest", async () => {
    const others = [newRunId(0), newRunId(0), newRunId(0)];
    for (const run of others) await bench.admit(run);
    const [ended, foreign, good] = await bench.take("a");
    await bench.redis.hset(bench.keys.run(ended!.run), "status", "cancelled");
    await bench.redis.xclaim(foreign!.stream.key, "workers", "bob", 0, foreign!.id);
    const items = [entry, ended!, foreign!, good!].map((each) => ({
      entry: each,
      batch: 0,
      events: [],
      end: completed,
    }));
    expect(await bench.store.commit("ann", items)).toEqual([Reply.Done, Reply.RunEnded, Reply.NotOwner, Reply.Done]);
    expect(await bench.redis.xlen(bench.keys.step(two.graph, "b"))).toBe(2);
    expect((await bench.redis.xpending(entry.stream.key, "workers"))[0]).toBe(1);
  });

  test("100 items whose entries lie among 400 others of the same owner", async () => {
    const runs = Array.from({ length: 499 }, () => newRunId(0));
    for (const run of runs) await bench.admit(run);
    const entries = [entry];
    while (entries.length < 500) entries.push(...(await bench.take("a")));
    const items = entries
      .filter((_, i) => i % 5 === 0)
      .map((each) => ({ entry: each, batch: 0, events: [], end: completed }));
    expect(await bench.store.commit("ann", items)).toEqual(items.map(() => Reply.Done));
  });

  test("two items of one run: the first ends it, the second is refused and its entry given up", async () => {
    const extra = await bench.redis.xadd(entry.stream.key, "*", "run", bench.run, "tenant", "default", "input", "1");
    const [second] = await bench.take("a");
    expect(second!.id).toBe(extra);
    await bench.redis.hset(bench.keys.run(bench.run), "step:b", `queued 0 0 0 ${extra} - - 0`);
    const asB: Entry = { ...second!, stream: { ...second!.stream, step: { ...second!.stream.step, name: "b" } } };
    const items = [entry, asB].map((each) => ({ entry: each, batch: 0, events: [], end: dead }));
    expect(await bench.store.commit("ann", items)).toEqual([Reply.Done, Reply.RunEnded]);
    expect(await bench.redis.xlen(entry.stream.key)).toBe(0);
  });
});
