import { any } from "valibot";
import { afterEach, describe, expect, test } from "vitest";
import type { CommitItem } from "../../../engine/commit-args.ts";
import type { Entry } from "../../../engine/entry.ts";
import { deadLetterId } from "../../../engine/ids.ts";
import { workflow } from "../../../engine/index.ts";
import { Reply } from "../../../engine/store.ts";
import type { Transition } from "../../../engine/transition.ts";
import { StoreBench } from "../../support/store.ts";

const list = () => [1, 2, 3];
const each = (onItemFailure: "fail" | "collect") =>
  workflow("each", { input: any() })
    .map("map", { over: list, onItemFailure, run: () => 1 })
    .step("end", () => 2);
const map = each("fail");
const collecting = each("collect");
const loop = workflow("each", { input: any() })
  .repeat("map", { run: (given) => given, until: () => true, max: 7 })
  .step("end", () => 2);

const error = { name: "Error", message: "no" };
const done = (output: string): Transition => ({ kind: "complete", output });
const expanded: Transition = { kind: "expand", total: 3, limit: 2, first: "" };

let bench: StoreBench;
afterEach(() => bench.close());

/** A bench with a run whose map of three is expanded, two at once. */
async function begin(definition: typeof map | typeof collecting = map, end = expanded): Promise<Entry[]> {
  bench = new StoreBench(definition);
  await bench.admit();
  await bench.come("map", end);
  return bench.take("map");
}
const change = (item: Partial<CommitItem> & { entry: Entry }, expected: Reply = Reply.Done, names = {}) =>
  bench.change(() => bench.commit(item), expected, names);
const run = () => bench.redis.hgetall(bench.keys.run(bench.run));
const queued = (item: number) => expect.stringMatching(new RegExp(`^E\\d run=RUN tenant=default input= item=${item}$`));
const RECORD = expect.stringMatching(/^running 1 0 0 items T - 0$/);

describe("commit of expanded", () => {
  test("the first items are in the step's stream, as many as may be at work", async () => {
    bench = new StoreBench(map);
    await bench.admit();
    const entry = await bench.next("map");
    expect(await change({ entry, startedAgoMs: 0, end: expanded })).toEqual({
      "items:RUN:map": { "0": "queued 0 0 0 E1 - - 0", "1": "queued 0 0 0 E2 - - 0" },
      "log:RUN": expect.arrayContaining(['T {"type":"step.started","step":"map","attempt":1}']),
      "run:RUN": expect.objectContaining({
        status: "running",
        "step:map": RECORD,
        "items:map": "3 2 0 0 0 0 2",
        active: "1",
      }),
      "runs:default:status:queued": "gone",
      "runs:default:status:running": { RUN: "T" },
      "step:each@1:map": [queued(0), queued(1)],
    });
  });

  test("of a loop: the first turn, with the step's input", async () => {
    const [turn] = await begin(loop as never, { kind: "expand", total: 7, limit: 1, first: '{"n":1}' });
    expect(turn).toMatchObject({ item: 0, input: '{"n":1}' });
    expect(await run()).toMatchObject({ "items:map": "7 1 0 0 0 0 1" });
  });

  test("with a limit above a hundred, a hundred begin, and whatever comes of one brings on two", async () => {
    await begin(map, { kind: "expand", total: 300, limit: 1_000, first: "" });
    const stream = bench.keys.step(map.graph, "map");
    const started = async () => Number((await run())["items:map"]!.split(" ")[1]);
    expect(await bench.redis.xlen(stream)).toBe(100);
    const first = await bench.redis.xrange(stream, "-", "+", "COUNT", 4);
    const [ended, begun, waiting, failed] = await Promise.all(first.map(([id]) => entryOf(id)));
    await bench.commit({ entry: { ...ended!, item: 0 }, end: done("1") });
    expect(await started()).toBe(102);
    await bench.commit({ entry: { ...begun!, item: 1 }, startedAgoMs: 0 });
    expect(await started()).toBe(104);
    const parking = { reason: "child", child: "C", detached: false } as const;
    await bench.commit({ entry: { ...waiting!, item: 2 }, startedAgoMs: 0, end: { kind: "park", parking } });
    expect(await started()).toBe(106);
    await bench.commit({
      entry: { ...failed!, item: 3 },
      startedAgoMs: 0,
      end: { kind: "retry", error, delayMs: 1_000 },
    });
    expect(await started()).toBe(108);
  });
});

/** The entry of that id, which ann has taken. */
async function entryOf(id: string): Promise<Entry> {
  const stream = bench.stream("map");
  return { stream, id, count: 1, run: bench.run, tenant: "default", failures: 0, crashes: 0, input: "" };
}

describe("commit about an item", () => {
  test("its start is its own, and its step's is as it was", async () => {
    const [first] = await begin();
    expect(await change({ entry: first!, startedAgoMs: 0 })).toEqual({
      "items:RUN:map": expect.objectContaining({ "0": "running 1 0 0 E1 T - 0" }),
      "log:RUN": expect.arrayContaining(['T {"type":"step.started","step":"map","item":0,"attempt":1}']),
    });
  });

  test("events and progress, once for each batch: the step's progress is the mean", async () => {
    const [first] = await begin();
    const item = { entry: first!, batch: 1, events: ['{"type":"x"}'], progress: { progress: 0.6 } };
    expect(await change(item)).toEqual({
      "items:RUN:map": expect.objectContaining({ "0": "queued 1 0 0 E1 - - 1", p0: "600" }),
      "log:RUN": expect.arrayContaining([
        'T {"type":"x"}',
        'T {"type":"step.progress","step":"map","data":{"progress":0.2}}',
      ]),
      "run:RUN": expect.objectContaining({ "items:map": "3 2 0 0 600 T 2", "progress:map": '{"progress":0.2}' }),
    });
    expect(await change(item)).toEqual({});
  });

  test("completed: its output is in its chunk, and the next one begins", async () => {
    const [first] = await begin();
    expect(await change({ entry: first!, startedAgoMs: 0, end: done('"one"') })).toEqual({
      "items:RUN:map": { "1": expect.stringMatching(/^queued/), "2": "queued 0 0 0 E2 - - 0" },
      "items:RUN:map:0": { "0": '"one"' },
      "log:RUN": expect.arrayContaining(['T {"type":"step.completed","step":"map","item":0,"attempt":1}']),
      "run:RUN": expect.objectContaining({ "step:map": RECORD, "items:map": "3 3 1 0 0 T 2", active: "1" }),
      "step:each@1:map": [expect.stringContaining("item=1"), queued(2), expect.stringContaining("pending")],
    });
  });

  test("the last one completed: so is its step, whose output says where the results are", async () => {
    const [first, second] = await begin();
    await bench.commit({ entry: second!, startedAgoMs: 0, end: done("2") });
    await bench.commit({ entry: first!, startedAgoMs: 0, end: done("1") });
    const last = await bench.next("map");
    expect(await change({ entry: last, startedAgoMs: 0, end: done("3") })).toEqual({
      "items:RUN:map": "gone",
      "items:RUN:map:0": { "0": "1", "1": "2", "2": "3" },
      "log:RUN": expect.arrayContaining(['T {"type":"step.completed","step":"map","attempt":1}']),
      "run:RUN": expect.objectContaining({
        ...{ "step:map": "completed 1 0 0 - T T 0", "items:map": "3 3 3 0 0 T 2", active: "1" },
        "output:map": "#RUN|map|3|fail",
        "progress:map": '{"progress":1}',
        "step:end": expect.stringMatching(/^queued/),
      }),
      "step:each@1:map": [],
      "step:each@1:end": [expect.stringMatching(/^E\d run=RUN tenant=default input=$/)],
    });
  });

  test("retrying: its row names it, its error is in its chunk", async () => {
    const [first] = await begin();
    const row = "wake|retry|default|RUN|each|1|map|0|ENTRY";
    const end: Transition = { kind: "retry", error, delayMs: 5_000 };
    expect(await change({ entry: first!, startedAgoMs: 0, end }, Reply.Done, { ENTRY: first!.id })).toEqual({
      delayed: { "each@1:map": "1" },
      "items:RUN:map": expect.objectContaining({ "0": `retrying 1 1 0 timer:${row} T - 0` }),
      "items:RUN:map:0": { e0: JSON.stringify(error) },
      "log:RUN": expect.arrayContaining([expect.stringContaining('{"type":"step.retrying","step":"map","item":0,')]),
      "step:each@1:map": expect.any(Array),
      timers: { [row]: "T" },
    });
  });

  test("released: it is in the stream again, uncharged", async () => {
    const [first] = await begin();
    const changed = await change({ entry: first!, end: { kind: "release" } });
    expect(changed).toEqual({
      "items:RUN:map": expect.objectContaining({ "0": expect.stringMatching(/^queued 1 0 0 E\d - - 0$/) }),
      "step:each@1:map": expect.any(Array),
    });
    expect(await bench.next("map")).toMatchObject({ item: 0, failures: 0, crashes: 0 });
  });

  test("parked for a child: nobody works on it, and the step is still at work", async () => {
    const [first] = await begin();
    const end: Transition = { kind: "park", parking: { reason: "child", child: "CHILD", detached: false } };
    await bench.redis.hset(bench.keys.run("CHILD"), "status", "queued");
    expect(await change({ entry: first!, startedAgoMs: 0, end })).toEqual({
      "items:RUN:map": expect.objectContaining({
        "0": "waiting 1 0 0 timer:wake|child|default|RUN|each|1|map|0|CHILD T - 0",
      }),
      "log:RUN": expect.any(Array),
      "step:each@1:map": expect.any(Array),
    });
    expect(await run()).toMatchObject({ status: "running", active: "1" });
  });

  test("collected: its error is its result, and the next one begins; with the last one the step completes", async () => {
    const [first, second] = await begin(collecting);
    const end: Transition = { kind: "collect", error };
    expect(await change({ entry: first!, startedAgoMs: 0, end })).toEqual({
      "items:RUN:map": { "1": expect.any(String), "2": expect.stringMatching(/^queued/) },
      "items:RUN:map:0": { e0: JSON.stringify(error) },
      "log:RUN": expect.arrayContaining([expect.stringContaining('{"type":"step.failed","step":"map","item":0,')]),
      "run:RUN": expect.objectContaining({ "step:map": RECORD, "items:map": "3 3 0 1 0 T 2" }),
      "step:each@1:map": expect.any(Array),
    });
    await bench.commit({ entry: second!, startedAgoMs: 0, end: done("2") });
    await bench.come("map", end);
    expect(await run()).toMatchObject({
      "items:map": expect.stringMatching(/^3 3 1 2 0 /),
      "output:map": `#${bench.run}|map|3|collect`,
    });
    expect(await bench.redis.zcard(bench.keys.deadLetters("default"))).toBe(0);
  });

  test("failed: its dead letter names it, the run has failed, and the others are taken from their places", async () => {
    const [first] = await begin();
    const letter = deadLetterId(bench.run, first!.id);
    const end: Transition = { kind: "dead", error };
    const names = { LETTER: letter, ENTRY: first!.id };
    expect(await change({ entry: first!, startedAgoMs: 0, end }, Reply.Done, names)).toEqual({
      "dead-letters:default": { LETTER: "T" },
      "dead:each@1:map": [expect.stringMatching(/^E\d id=LETTER run=RUN tenant=default attempt=1 error=.* item=0$/)],
      "items:RUN:map": {
        "0": expect.stringMatching(/^failed 1 0 0 dead:E\d T T 0$/),
        "1": "cancelled 0 0 0 - - T 0",
      },
      "log:RUN": expect.any(Array),
      "run:RUN": expect.objectContaining({
        ...{ status: "failed", "error:map": JSON.stringify(error), error: JSON.stringify(error) },
        "dead:ENTRY": expect.stringMatching(/^map E\d 0$/),
        "step:map": expect.stringMatching(/^failed 1 0 0 dead:E\d T T 0$/),
      }),
      "runs:default:status:running": "gone",
      "runs:default:status:failed": { RUN: "T" },
      "ends:default": ["T RUN each"],
      "step:each@1:map": [],
    });
  });

  test("a turn: another follows with its output; the last one ends the step with it", async () => {
    const [first] = await begin(loop as never, { kind: "expand", total: 7, limit: 1, first: "" });
    await bench.commit({ entry: first!, startedAgoMs: 0, end: { ...done('{"n":2}'), turn: "turn" } as Transition });
    const second = await bench.next("map");
    expect(second).toMatchObject({ item: 1, input: '{"n":2}' });
    expect(await run()).toMatchObject({
      "items:map": expect.stringMatching(/^7 2 1 0 0 /),
      "step:map": expect.stringMatching(/^running/),
    });
    const last = { ...done('{"n":3}'), turn: "last" } as Transition;
    expect(await change({ entry: second, startedAgoMs: 0, end: last })).toEqual({
      "items:RUN:map": "gone",
      "items:RUN:map:0": { "0": '{"n":2}', "1": '{"n":3}' },
      "log:RUN": expect.any(Array),
      "run:RUN": expect.objectContaining({ "output:map": '{"n":3}', "step:map": "completed 1 0 0 - T T 0" }),
      "step:each@1:map": [],
      "step:each@1:end": [expect.stringContaining('input={"n":3}')],
    });
  });

  test.each<[string, Transition | undefined]>([
    ["events", undefined],
    ["completed", done("1")],
    ["retrying", { kind: "retry", error, delayMs: 1 }],
    ["released", { kind: "release" }],
    ["failed", { kind: "dead", error }],
  ])("%s is refused of another consumer, of an item elsewhere, and once the run has ended", async (_, end) => {
    const [first, second] = await begin();
    const item = (entry: Entry) => ({ entry, ...(end && { end }) });
    expect(await bench.change(() => bench.commit(item(first!), "bob"), Reply.NotOwner)).toEqual({});
    await bench.redis.hset(bench.keys.items(bench.run, "map"), "0", "queued 0 0 0 1-1 - - 0");
    expect(await bench.commit(item(first!))).toBe(Reply.Stale);
    await bench.redis.hset(bench.keys.run(bench.run), "status", "completed");
    expect(await bench.commit(item(second!))).toBe(Reply.RunEnded);
  });

  test.each(["live items", "chunk"])("a key of the wrong type: %s", async (which) => {
    const [first] = await begin();
    const key = which === "chunk" ? bench.keys.chunk(bench.run, "map", 0) : bench.keys.items(bench.run, "map");
    await bench.redis.set(key, "not ours");
    expect(await change({ entry: first!, end: done("1") }, Reply.WrongType)).toEqual({});
  });
});
