import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { deadLetterId, newRunId } from "../../../engine/ids.ts";
import { Reply } from "../../../engine/store.ts";
import { changes } from "../../support/state.ts";
import { StoreBench, two } from "../../support/store.ts";

let bench: StoreBench;
beforeEach(() => {
  bench = new StoreBench();
});
afterEach(() => bench.close());

const error = { name: "Error", message: "no" };

async function change(act: () => Promise<Reply>, expected: Reply, names: Record<string, string> = {}) {
  const before = await bench.state(names);
  expect(await act()).toBe(expected);
  return changes(before, await bench.state(names));
}

/** Brings the run to failure at step `a`: the entry that was its last attempt, and its dead letter's id. */
async function failed(): Promise<{ entry: string; letter: string }> {
  const { id, ...rest } = await bench.held();
  await bench.fail({ id, ...rest });
  return { entry: id, letter: deadLetterId(bench.run, id) };
}

describe("cancel", () => {
  const cancel = (run = bench.run) => bench.store.cancel(run, two.graph, "default");

  test("a queued run: its entry is gone", async () => {
    await bench.admit();
    expect(await change(cancel, Reply.Done)).toEqual({
      "log:RUN": ['T {"type":"run.queued"}', 'T {"type":"run.cancelled"}'],
      "run:RUN": expect.objectContaining({ status: "cancelled", endedAt: "T", "step:a": "cancelled 0 0 0 - - T 0" }),
      "runs:default:status:queued": "gone",
      "runs:default:status:cancelled": { RUN: "T" },
      "ends:default": ["T RUN two"],
      "step:two@1:a": [],
    });
  });

  test("a running step: its entry is pending no more, and its worker is told", async () => {
    const entry = await bench.held();
    await bench.commit({ entry, startedAgoMs: 0 });
    const heard = new Promise((resolve) => {
      const listener = bench.redis.duplicate();
      listener.on("message", (_, text) => {
        listener.disconnect();
        resolve(text);
      });
      void listener.subscribe(bench.keys.control()).then(() => cancel());
    });
    expect(await heard).toBe(`cancelled ${bench.run}`);
    const state = await bench.state();
    expect(state["step:two@1:a"]).toEqual([]);
    expect(state["run:RUN"]).toMatchObject({ status: "cancelled", "step:a": "cancelled 1 0 0 - T T 0" });
    expect(await bench.commit({ entry, end: { kind: "release" } })).toBe(Reply.NotOwner);
  });

  test("a step that waits to be tried again: its timer row is gone, and counted so", async () => {
    const entry = await bench.held();
    const end = { kind: "retry", error, delayMs: 60_000 } as const;
    await bench.commit({ entry, startedAgoMs: 0, end });
    expect(await change(cancel, Reply.Done)).toMatchObject({ timers: "gone", delayed: { "two@1:a": "0" } });
  });

  test("a run that was cancelled before, ended otherwise, or never was", async () => {
    await bench.admit();
    await cancel();
    expect(await change(cancel, Reply.Already)).toEqual({});
    expect(await change(() => cancel(newRunId(0)), Reply.UnknownRun)).toEqual({});
    await bench.redis.hset(bench.keys.run(bench.run), "status", "completed");
    expect(await change(cancel, Reply.RunEnded)).toEqual({});
  });

  test.each(["log", "timers", "delayed", "index", "stream", "ends"])(
    "a key of the wrong type refuses it: %s",
    async (which) => {
      await bench.admit();
      const { keys, run, redis } = bench;
      const key = {
        log: keys.log(run),
        timers: keys.timers(),
        delayed: keys.delayed(),
        index: keys.runsByStatus("default", "cancelled"),
        stream: keys.step(two.graph, "b"),
        ends: keys.ends("default"),
      }[which]!;
      await redis.del(key);
      await redis.set(key, "not ours");
      expect(await change(cancel, Reply.WrongType)).toEqual({});
    },
  );
});

describe("replay", () => {
  const replay = ({ entry, letter }: { entry: string; letter: string }, run = bench.run, input?: string) =>
    bench.store.replay({ id: letter, run, entry, graph: two.graph, tenant: "default", step: "a" }, input);

  test("the run goes on from the step that failed, its attempts counted anew", async () => {
    const dead = await failed();
    expect(await change(() => replay(dead), Reply.Done)).toEqual({
      "dead-letters:default": "gone",
      "dead:two@1:a": [],
      "log:RUN": expect.arrayContaining(['T {"type":"run.queued"}']),
      "run:RUN": {
        workflow: "two",
        version: "1",
        tenant: "default",
        status: "queued",
        createdAt: "T",
        trimmed: "0",
        input: '{"n":1}',
        replays: "1",
        "step:a": expect.stringMatching(/^queued 0 0 0 E\d - - 0$/),
      },
      "runs:default:status:failed": "gone",
      "runs:default:status:queued": { RUN: "T" },
      "step:two@1:a": [expect.stringMatching(/^E\d run=RUN tenant=default input=$/)],
    });
    const [entry] = await bench.take("a");
    expect(entry).toMatchObject({ failures: 0, crashes: 0 });
  });

  test("with another input, which the step is given from then on", async () => {
    const dead = await failed();
    const changed = await change(() => replay(dead, bench.run, '{"n":2}'), Reply.Done);
    expect(changed["run:RUN"]).toMatchObject({ input: '{"n":1}', "input:a": '{"n":2}', status: "queued" });
    const [entry] = await bench.take("a");
    expect(await bench.inputs.stored(entry!)).toBe('{"n":2}');
    await bench.fail(entry!);
    expect(await replay({ entry: entry!.id, letter: deadLetterId(bench.run, entry!.id) })).toBe(Reply.Done);
    const [again] = await bench.take("a");
    expect(await bench.inputs.stored(again!)).toBe('{"n":2}');
  });

  test("a second time there is nothing to replay", async () => {
    const dead = await failed();
    await replay(dead);
    expect(await change(() => replay(dead), Reply.UnknownRun)).toEqual({});
  });

  test("an unknown run", async () => {
    const dead = await failed();
    expect(await change(() => replay(dead, newRunId(0)), Reply.UnknownRun)).toEqual({});
  });

  test("a run that is no longer failed by it", async () => {
    const dead = await failed();
    await bench.redis.hset(bench.keys.run(bench.run), "status", "running");
    expect(await change(() => replay(dead), Reply.Stale)).toEqual({});
  });

  test.each(["log", "dead", "index", "stream"])("a key of the wrong type refuses it: %s", async (which) => {
    const dead = await failed();
    const { keys, run, redis } = bench;
    const key = {
      log: keys.log(run),
      dead: keys.dead(two.graph, "a"),
      index: keys.deadLetters("default"),
      stream: keys.step(two.graph, "a"),
    }[which]!;
    await redis.del(key);
    await redis.set(key, "not ours");
    expect(await change(() => replay(dead), Reply.WrongType)).toEqual({});
  });
});

describe("discard", () => {
  const discard = ({ entry, letter }: { entry: string; letter: string }) =>
    bench.store.discard({ id: letter, run: bench.run, entry, graph: two.graph, tenant: "default", step: "a" });

  test("the dead letter is gone, and the run stays failed", async () => {
    const dead = await failed();
    const changed = await change(() => discard(dead), Reply.Done);
    expect(changed).toMatchObject({ "dead-letters:default": "gone", "dead:two@1:a": [] });
    expect(changed["run:RUN"]).toMatchObject({ status: "failed", error: JSON.stringify(error) });
    expect(Object.keys(changed)).toHaveLength(3);
    expect(await change(() => discard(dead), Reply.UnknownRun)).toEqual({});
    const place = {
      id: dead.letter,
      run: bench.run,
      entry: dead.entry,
      graph: two.graph,
      tenant: "default",
      step: "a",
    };
    expect(await bench.store.replay(place)).toBe(Reply.UnknownRun);
  });

  test("a key of the wrong type refuses it", async () => {
    const dead = await failed();
    await bench.redis.del(bench.keys.dead(two.graph, "a"));
    await bench.redis.set(bench.keys.dead(two.graph, "a"), "not ours");
    expect(await change(() => discard(dead), Reply.WrongType)).toEqual({});
  });
});

describe("read-log", () => {
  const read = (after: number, tag?: number, limit = 100) => bench.store.readLog(bench.run, after, tag, limit);
  const timeOf = async (seq: number) => {
    const line = await bench.redis.lindex(bench.keys.log(bench.run), seq - 1);
    return Number(line!.split(" ")[0]);
  };

  test("the events after a number, and how far the log goes", async () => {
    await failed();
    const page = await read(1, await timeOf(1), 2);
    expect(page).toMatchObject({ found: true, stale: false, last: 5, status: "failed", tenant: "default" });
    expect(page.found && page.lines.map((line) => JSON.parse(line.slice(14)).type)).toEqual([
      "run.started",
      "step.started",
    ]);
    expect(await read(5)).toMatchObject({ stale: false, lines: [] });
  });

  test("another time than the event's, a number past the end, or one before what is kept: stale", async () => {
    await failed();
    expect(await read(2, 123)).toMatchObject({ found: true, stale: true, last: 5 });
    expect(await read(6)).toMatchObject({ stale: true });
    await bench.redis.ltrim(bench.keys.log(bench.run), 3, -1);
    await bench.redis.hset(bench.keys.run(bench.run), "trimmed", 3);
    expect(await read(2)).toMatchObject({ stale: true, last: 5 });
    const page = await read(3);
    expect(page).toMatchObject({ stale: false, last: 5 });
    expect(page.found && page.lines).toHaveLength(2);
  });

  test("an unknown run, and a key of the wrong type", async () => {
    expect(await read(0)).toEqual({ found: false });
    await bench.admit();
    await bench.redis.del(bench.keys.log(bench.run));
    await bench.redis.set(bench.keys.log(bench.run), "not ours");
    await expect(read(0)).rejects.toMatchObject({ code: "wrong_type" });
  });
});

describe("read-run", () => {
  test("the record and how long the log is; another tenant's or no run is none", async () => {
    await failed();
    const record = await bench.store.readRun(bench.run, "default");
    expect(record).toMatchObject({ id: bench.run, logLength: 5, fields: { status: "failed", input: '{"n":1}' } });
    expect(await bench.store.readRun(bench.run, "acme")).toBeUndefined();
    expect(await bench.store.readRun(newRunId(0), "default")).toBeUndefined();
  });

  test("a key of the wrong type is an error", async () => {
    await bench.redis.set(bench.keys.run(bench.run), "not ours");
    await expect(bench.store.readRun(bench.run, "default")).rejects.toMatchObject({ code: "wrong_type" });
  });
});
