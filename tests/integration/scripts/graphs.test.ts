import { any } from "valibot";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { newRunId } from "../../../engine/ids.ts";
import { workflow } from "../../../engine/index.ts";
import { Reply } from "../../../engine/store.ts";
import type { Transition } from "../../../engine/transition.ts";
import { StoreBench } from "../../support/store.ts";

/** Two sides, of which the second has a step more, and what comes after either and after both. */
const graph = workflow("graph", { input: any() })
  .step("a", { after: [], run: () => 1 })
  .step("b", { after: [], run: () => 2 })
  .step("c", { after: ["b"], run: () => 3 })
  .step("join", { after: ["a", "c"], run: () => 4 })
  .step("end", () => 5);

const done = (output: string): Transition => ({ kind: "complete", output });
const skip: Transition = { kind: "skip" };
const error = { name: "Error", message: "no" };

let bench: StoreBench;
beforeEach(async () => {
  bench = new StoreBench(graph);
  await bench.admit();
});
afterEach(() => bench.close());

/** Commits what the next entry of a step has come to, and says what that has changed. */
async function come(step: string, end: Transition, started = true) {
  const entry = await bench.next(step);
  const item = { entry, end, ...(started ? { startedAgoMs: 0 } : {}) };
  return bench.change(() => bench.commit(item), Reply.Done);
}
const run = () => bench.redis.hgetall(bench.keys.run(bench.run));
const types = async () => {
  const lines = await bench.redis.lrange(bench.keys.log(bench.run), 0, -1);
  return lines.map((line) => {
    const { type, step } = JSON.parse(line.slice(14));
    return step === undefined ? type : `${type} ${step}`;
  });
};

describe("admit of more than a chain", () => {
  test("each first step is in its stream, and how many are at work is counted", async () => {
    expect(await bench.state()).toEqual({
      "log:RUN": ['T {"type":"run.queued"}'],
      "run:RUN": {
        ...{ workflow: "graph", version: "1", tenant: "default", status: "queued", createdAt: "T", trimmed: "0" },
        ...{ input: '{"n":1}', active: "2" },
        "step:a": "queued 0 0 0 E1 - - 0",
        // Entries of different streams that were added at one instant have one id.
        "step:b": expect.stringMatching(/^queued 0 0 0 E[12] - - 0$/),
      },
      "runs:default:status:queued": { RUN: "T" },
      "runs:default:workflow:graph": { RUN: "T" },
      "step:graph@1:a": ['E1 run=RUN tenant=default input={"n":1}'],
      "step:graph@1:b": [expect.stringContaining('run=RUN tenant=default input={"n":1}')],
    });
  });
});

describe("commit before a join", () => {
  test("the first side to come is counted, and nothing begins", async () => {
    expect(await come("a", done("1"))).toEqual({
      "log:RUN": expect.arrayContaining(['T {"type":"step.completed","step":"a","attempt":1}']),
      "run:RUN": expect.objectContaining({
        ...{ status: "running", active: "1", "join:join": "1 1", "output:a": "1" },
        "step:a": "completed 1 0 0 - T T 0",
      }),
      "runs:default:status:queued": "gone",
      "runs:default:status:running": { RUN: "T" },
      "step:graph@1:a": [],
    });
    expect(await run()).not.toHaveProperty("step:join");
  });

  test("the last one begins it: its entry carries no input, which is in two places", async () => {
    await come("a", done("1"));
    await come("b", done("2"));
    expect(await come("c", done("3"))).toEqual({
      "log:RUN": expect.any(Array),
      "run:RUN": expect.objectContaining({
        ...{ status: "running", active: "1", "join:join": "2 2", "output:c": "3" },
        "step:join": "queued 0 0 0 E1 - - 0",
      }),
      "step:graph@1:c": [],
      "step:graph@1:join": ["E1 run=RUN tenant=default input="],
    });
  });

  test.each([
    ["a", "c"],
    ["c", "a"],
  ] as const)("with %s not taken, in either order, it runs with what there is of %s", async (skipped, taken) => {
    await come("b", done("2"));
    const ends = { [skipped]: skip, [taken]: done("1") };
    for (const step of ["a", "c"]) await come(step, ends[step]!);
    expect(await run()).toMatchObject({
      "join:join": "2 1",
      [`step:${skipped}`]: expect.stringMatching(/^skipped/),
      "step:join": expect.stringMatching(/^queued/),
      active: "1",
    });
    await come("join", done("4"));
    await come("end", done("5"));
    expect(await run()).toMatchObject({ status: "completed", "output:end": "5" });
  });

  test("both sides in one group: it begins once", async () => {
    await come("b", done("2"));
    const [a, c] = [await bench.next("a"), await bench.next("c")];
    const items = [a, c].map((entry) => ({ entry, batch: 0, events: [], startedAgoMs: 0, end: done("1") }));
    expect(await bench.store.commit("ann", items)).toEqual([Reply.Done, Reply.Done]);
    expect(await bench.redis.xlen(bench.keys.step(graph.graph, "join"))).toBe(1);
    expect(await bench.store.commit("ann", items)).toEqual([Reply.NotOwner, Reply.NotOwner]);
    expect(await run()).toMatchObject({ "join:join": "2 2", active: "1" });
    expect(await bench.redis.xlen(bench.keys.step(graph.graph, "join"))).toBe(1);
  });
});

describe("commit of skipped", () => {
  test("what only it leads to is skipped with it, and a join is told", async () => {
    await bench.come("a", done("1"));
    expect(await come("b", skip, false)).toEqual({
      "log:RUN": [
        ...["run.queued", "run.started"].map((type) => `T {"type":"${type}"}`),
        ...["started", "completed"].map((end) => `T {"type":"step.${end}","step":"a","attempt":1}`),
        ...["b", "c"].map((step) => `T {"type":"step.skipped","step":"${step}"}`),
      ],
      "run:RUN": expect.objectContaining({
        ...{ status: "running", active: "1", "join:join": "2 1" },
        "step:b": "skipped 1 0 0 - - T 0",
        "step:c": "skipped 0 0 0 - - T 0",
        "step:join": "queued 0 0 0 E1 - - 0",
      }),
      "step:graph@1:b": [],
      "step:graph@1:join": ["E1 run=RUN tenant=default input="],
    });
  });

  test("of all: the run completes with nothing", async () => {
    await come("a", skip, false);
    expect(await come("b", skip, false)).toEqual({
      "log:RUN": expect.any(Array),
      "run:RUN": expect.objectContaining({
        ...{ status: "completed", endedAt: "T", "join:join": "2 0" },
        "step:join": "skipped 0 0 0 - - T 0",
        "step:end": "skipped 0 0 0 - - T 0",
      }),
      "runs:default:status:queued": "gone",
      "runs:default:status:completed": { RUN: "T" },
      "ends:default": ["T RUN graph"],
      "step:graph@1:b": [],
    });
    const skipped = ["a", "b", "c", "join", "end"].map((step) => `step.skipped ${step}`);
    expect(await types()).toEqual(["run.queued", ...skipped, "run.completed"]);
  });
});

describe("failure with others at work", () => {
  const names = async () => {
    const [b] = await bench.redis.xrange(bench.keys.step(graph.graph, "b"), "-", "+");
    return { OTHER: b![0] };
  };

  test("they are taken from their places: a queued one", async () => {
    const other = await names();
    const a = await bench.next("a");
    const dead = () => bench.commit({ entry: a, startedAgoMs: 0, end: { kind: "dead", error } });
    expect(await bench.change(dead, Reply.Done, other)).toMatchObject({
      "run:RUN": { status: "failed", "step:a": expect.stringMatching(/^failed/), "step:b": "cancelled 0 0 0 - - T 0" },
      "runs:default:status:failed": { RUN: "T" },
      "step:graph@1:a": [],
      "step:graph@1:b": [],
    });
  });

  test("one that is in hand: its end is refused, whichever it is, and no second dead letter is written", async () => {
    const [a, b] = [await bench.next("a"), await bench.next("b")];
    const end: Transition = { kind: "dead", error };
    expect(await bench.commit({ entry: a, startedAgoMs: 0, end })).toBe(Reply.Done);
    expect(await bench.change(() => bench.commit({ entry: b, end }), Reply.NotOwner)).toEqual({});
    expect(await bench.redis.zcard(bench.keys.deadLetters("default"))).toBe(1);
  });

  test("both in one group: the second is refused, since the run has ended", async () => {
    const items = [await bench.next("a"), await bench.next("b")].map((entry) => ({
      ...{ entry, batch: 0, events: [], startedAgoMs: 0 },
      end: { kind: "dead", error } as Transition,
    }));
    expect(await bench.store.commit("ann", items)).toEqual([Reply.Done, Reply.RunEnded]);
    expect(await run()).toMatchObject({ "step:b": expect.stringMatching(/^cancelled/) });
    expect(await bench.redis.zcard(bench.keys.deadLetters("default"))).toBe(1);
  });

  test("one that waits to be tried again: its row goes, and is not counted any more", async () => {
    await come("b", { kind: "retry", error, delayMs: 60_000 });
    expect(await bench.redis.zcard(bench.keys.timers())).toBe(1);
    expect(await come("a", { kind: "dead", error })).toMatchObject({
      delayed: { "graph@1:b": "0" },
      "run:RUN": { "step:b": "cancelled 1 1 0 - T T 0" },
      timers: "gone",
    });
  });

  test("replay: what was taken is in its stream again with what failed, and how many are at work is counted anew", async () => {
    const a = await bench.come("a", { kind: "dead", error });
    const place = { id: `${bench.run}-${a.id}`, run: bench.run, entry: a.id, graph: graph.graph };
    const replay = () => bench.store.replay({ ...place, tenant: "default", step: "a" });
    expect(await bench.change(replay, Reply.Done)).toMatchObject({
      "run:RUN": {
        ...{ status: "queued", active: "2", replays: "1" },
        "step:a": expect.stringMatching(/^queued 0 0 0 E\d - - 0$/),
        "step:b": expect.stringMatching(/^queued 0 0 0 E\d - - 0$/),
      },
      "step:graph@1:a": [expect.stringContaining("run=RUN tenant=default input=")],
      "step:graph@1:b": [expect.stringContaining("run=RUN tenant=default input=")],
      "dead-letters:default": "gone",
    });
    for (const step of ["a", "b", "c", "join", "end"]) await bench.come(step, done("1"));
    expect(await run()).toMatchObject({ status: "completed" });
  });
});

describe("several ends", () => {
  test("the last of them completes the run", async () => {
    const fan = workflow("fan", { input: any() })
      .step("a", { after: [], run: () => 1 })
      .step("b", { after: [], run: () => 2 });
    bench.close();
    bench = new StoreBench(fan);
    await bench.admit();
    expect((await come("a", done("1")))["run:RUN"]).toMatchObject({ status: "running", ends: "1", active: "1" });
    expect((await come("b", done("2")))["run:RUN"]).toMatchObject({ status: "completed", ends: "2" });
    expect(await bench.redis.zrange(bench.keys.runsByStatus("default", "completed"), "0", "-1")).toEqual([bench.run]);
  });
});

describe("commit of more than a chain refuses", () => {
  const end = done("1");

  test.each(["join", "index"])("a key of the wrong type: %s", async (which) => {
    await come("b", done("2"));
    const entry = await bench.next("c");
    const key = { join: bench.keys.step(graph.graph, "join"), index: bench.keys.runsByStatus("default", "waiting") }[
      which
    ]!;
    await bench.redis.set(key, "not ours");
    expect(await bench.change(() => bench.commit({ entry, startedAgoMs: 0, end }), Reply.WrongType)).toEqual({});
  });

  test("another consumer, and the same end again", async () => {
    const entry = await bench.next("a");
    for (const kind of [end, skip]) {
      expect(await bench.change(() => bench.commit({ entry, end: kind }, "bob"), Reply.NotOwner)).toEqual({});
    }
    await bench.commit({ entry, end: skip });
    expect(await bench.change(() => bench.commit({ entry, end: skip }), Reply.NotOwner)).toEqual({});
  });

  test("an unknown run", async () => {
    const entry = await bench.next("a");
    await bench.redis.rename(bench.keys.run(bench.run), bench.keys.run(newRunId(0)));
    expect(await bench.commit({ entry, end })).toBe(Reply.UnknownRun);
  });
});
