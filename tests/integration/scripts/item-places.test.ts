import { any } from "valibot";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Entry } from "../../../engine/entry.ts";
import { deadLetterId } from "../../../engine/ids.ts";
import { workflow } from "../../../engine/index.ts";
import { Reply } from "../../../engine/store.ts";
import type { Transition } from "../../../engine/transition.ts";
import { StoreBench } from "../../support/store.ts";

const map = workflow("each", { input: any() })
  .map("map", { over: () => [1, 2, 3], run: () => 1 })
  .step("end", () => 2);

const error = { name: "Error", message: "no" };
const done = (output: string): Transition => ({ kind: "complete", output });
const expanded: Transition = { kind: "expand", total: 3, limit: 2, first: "" };

let bench: StoreBench;
afterEach(() => bench.close());

/** A bench with a run whose map of three is expanded, two at once. */
async function begin(end = expanded): Promise<Entry[]> {
  bench = new StoreBench(map);
  await bench.admit();
  await bench.come("map", end);
  return bench.take("map");
}
const run = () => bench.redis.hgetall(bench.keys.run(bench.run));
const live = () => bench.redis.hgetall(bench.keys.items(bench.run, "map"));
const queued = (item: number) => expect.stringMatching(new RegExp(`^E\\d run=RUN tenant=default input= item=${item}$`));

describe("cancel and replay", () => {
  const cancel = () => bench.store.cancel(bench.run, map.graph, "default");

  test("cancel takes items from wherever they are: in a stream, in hand, or waiting to be tried again", async () => {
    const [first] = await begin({ kind: "expand", total: 3, limit: 3, first: "" });
    await bench.commit({ entry: first!, startedAgoMs: 0, end: { kind: "retry", error, delayMs: 60_000 } });
    const changed = await bench.change(cancel, Reply.Done);
    expect(changed).toMatchObject({
      delayed: { "each@1:map": "0" },
      "items:RUN:map": {
        "0": "cancelled 1 1 0 - T T 0",
        "1": "cancelled 0 0 0 - - T 0",
        "2": "cancelled 0 0 0 - - T 0",
      },
      "run:RUN": { status: "cancelled", "step:map": "cancelled 1 0 0 - T T 0" },
      "step:each@1:map": [],
      timers: "gone",
    });
  });

  test("cancel of items that have started child runs: these are cancelled with it", async () => {
    await begin();
    await bench.redis.hset(bench.keys.items(bench.run, "map"), "c0", "CHILD");
    expect(await bench.change(cancel, Reply.Done)).toMatchObject({ timers: { "cancel|default|CHILD": "T" } });
  });

  test("replay puts back what failed and what was taken; what was done stays so", async () => {
    const [first, second] = await begin();
    await bench.commit({ entry: first!, startedAgoMs: 0, end: done("1") });
    await bench.commit({ entry: second!, startedAgoMs: 0, end: { kind: "dead", error } });
    const place = { id: deadLetterId(bench.run, second!.id), run: bench.run, entry: second!.id, graph: map.graph };
    const replay = () => bench.store.replay({ ...place, tenant: "default", step: "map" });
    expect(await bench.change(replay, Reply.Done)).toMatchObject({
      "items:RUN:map": { "1": expect.stringMatching(/^queued 0 0 0/), "2": expect.stringMatching(/^queued 0 0 0/) },
      "run:RUN": { status: "queued", active: "1", "step:map": expect.stringMatching(/^running 1 0 0 items T - 0$/) },
      "step:each@1:map": [queued(1), queued(2)],
    });
    expect(await bench.change(replay, Reply.UnknownRun)).toEqual({});
    for (const output of ["2", "3"]) await bench.come("map", done(output));
    expect(await run()).toMatchObject({ "output:map": `#${bench.run}|map|3|fail` });
    expect(await bench.redis.hgetall(bench.keys.chunk(bench.run, "map", 0))).toMatchObject({ 0: "1", 1: "2", 2: "3" });
    expect(await live()).toEqual({});
  });

  test.each(["cancel", "replay"] as const)("%s refuses live items of the wrong type", async (verb) => {
    const [first] = await begin();
    await bench.commit({ entry: first!, startedAgoMs: 0, end: { kind: "dead", error } });
    if (verb === "cancel") await bench.redis.hset(bench.keys.run(bench.run), "status", "running");
    await bench.redis.del(bench.keys.items(bench.run, "map"));
    await bench.redis.set(bench.keys.items(bench.run, "map"), "not ours");
    const place = { id: deadLetterId(bench.run, first!.id), run: bench.run, entry: first!.id, graph: map.graph };
    const act = verb === "cancel" ? cancel : () => bench.store.replay({ ...place, tenant: "default", step: "map" });
    expect(await bench.change(act, Reply.WrongType)).toEqual({});
  });
});

describe("promote of an item", () => {
  const row = (entry: string) =>
    ({
      kind: "wake",
      tenant: "default",
      run: bench.run,
      workflow: "each",
      version: "1",
      step: "map",
      item: "0",
      entry,
    }) as const;
  const promote = (reason: string, entry: string) => async () =>
    (await bench.timers.promote([{ ...row(entry), reason }]))[0]!;

  test("a retry that is due is in its stream, with its number and its failures", async () => {
    const [first] = await begin();
    await bench.commit({ entry: first!, startedAgoMs: 0, end: { kind: "retry", error, delayMs: 0 } });
    expect(await bench.change(promote("retry", first!.id), Reply.Done)).toEqual({
      delayed: { "each@1:map": "0" },
      "items:RUN:map": expect.objectContaining({ "0": expect.stringMatching(/^queued 1 1 0 E\d - - 0$/) }),
      "step:each@1:map": expect.arrayContaining([
        expect.stringMatching(/^E\d run=RUN tenant=default input= failures=1 crashes=0 item=0$/),
      ]),
      timers: "gone",
    });
    expect(await bench.change(promote("retry", first!.id), Reply.Already)).toEqual({});
  });

  test("a child that has ended wakes its item, and the step goes on being at work", async () => {
    const [first] = await begin();
    await bench.redis.hset(bench.keys.run("CHILD"), "status", "queued");
    const end: Transition = { kind: "park", parking: { reason: "child", child: "CHILD", detached: false } };
    await bench.commit({ entry: first!, startedAgoMs: 0, end });
    await bench.redis.zadd(bench.keys.timers(), 1, `wake|child|default|${bench.run}|each|1|map|0|CHILD`);
    await bench.change(promote("child", "CHILD"), Reply.Done);
    expect(await bench.next("map")).toMatchObject({ item: 0, wake: "child" });
    expect(await run()).toMatchObject({ status: "running", active: "1" });
    expect(await bench.redis.exists(bench.keys.delayed())).toBe(0);
  });

  test("a row that has outlived its item is dropped", async () => {
    const [first] = await begin();
    await bench.redis.zadd(bench.keys.timers(), 1, `wake|retry|default|${bench.run}|each|1|map|0|${first!.id}`);
    await bench.redis.hset(bench.keys.delayed(), "each@1:map", 1);
    expect(await bench.change(promote("retry", first!.id), Reply.Stale)).toEqual({
      delayed: { "each@1:map": "0" },
      timers: "gone",
    });
  });
});

describe("put-items", () => {
  let entry: Entry;
  beforeEach(async () => {
    bench = new StoreBench(map);
    await bench.admit();
    entry = await bench.next("map");
  });
  const put =
    (consumer = "ann", held = entry) =>
    () =>
      bench.store.putItems(consumer, held, 0, ["[1,2]", "[3]"]);

  test("the inputs of consecutive chunks", async () => {
    const stored = { "items:RUN:map:0": { in: "[1,2]" }, "items:RUN:map:1": { in: "[3]" } };
    const counted = expect.objectContaining({ "chunks:map": "2" });
    expect(await bench.change(put(), Reply.Done)).toEqual({ ...stored, "run:RUN": counted });
    expect(await bench.change(put(), Reply.Done)).toEqual({});
  });

  test("is refused of another consumer, and of the owner with an older delivery count", async () => {
    expect(await bench.change(put("bob"), Reply.NotOwner)).toEqual({});
    expect(await bench.change(put("ann", { ...entry, count: 2 }), Reply.NotOwner)).toEqual({});
  });

  test("is refused where there is no group any more", async () => {
    await bench.redis.del(entry.stream.key);
    expect(await bench.change(put(), Reply.NotOwner)).toEqual({});
  });

  test("is refused for a step that is elsewhere, a run that has ended and one that is unknown", async () => {
    await bench.redis.hset(bench.keys.run(bench.run), "step:map", "queued 0 0 0 1-1 - - 0");
    expect(await bench.change(put(), Reply.Stale)).toEqual({});
    await bench.redis.hset(bench.keys.run(bench.run), "step:map", `queued 0 0 0 ${entry.id} - - 0`, "status", "failed");
    expect(await bench.change(put(), Reply.Stale)).toEqual({});
    await bench.redis.del(bench.keys.run(bench.run));
    expect(await bench.change(put(), Reply.Stale)).toEqual({});
  });

  test.each(["run", "stream", "chunk"])("a key of the wrong type: %s", async (which) => {
    const { keys, run: id } = bench;
    const key = { run: keys.run(id), stream: entry.stream.key, chunk: keys.chunk(id, "map", 1) }[which]!;
    await bench.redis.set(key, "not ours");
    expect(await bench.change(put(), Reply.WrongType)).toEqual({});
  });
});
