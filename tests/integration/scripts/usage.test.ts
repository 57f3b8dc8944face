import { any, array, number } from "valibot";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { CommitItem } from "../../../engine/commit-args.ts";
import type { Entry } from "../../../engine/entry.ts";
import { deadLetterId } from "../../../engine/ids.ts";
import { workflow } from "../../../engine/index.ts";
import { Reply } from "../../../engine/store.ts";
import { type Budget, encodeBudget } from "../../../engine/usage.ts";
import { changes } from "../../support/state.ts";
import { StoreBench } from "../../support/store.ts";

let bench: StoreBench;
let entry: Entry;
beforeEach(async () => {
  bench = new StoreBench();
  entry = await bench.held();
});
afterEach(() => bench.close());

const used = (tokens: number, billionths = 0, keys: string[] = []): NonNullable<CommitItem["usage"]> => ({
  ...{ tokens, billionths },
  byKey: new Map(keys.map((key) => [key, { tokens, billionths }])),
});
const error = { name: "Error", message: "no" };
const completed: CommitItem["end"] = { kind: "complete", output: "1" };

async function change(item: Partial<CommitItem>, expected: Reply = Reply.Done) {
  const names = { LETTER: deadLetterId(bench.run, entry.id), ENTRY: entry.id };
  const before = await bench.state(names);
  expect(await bench.commit({ entry, ...item })).toBe(expected);
  return changes(before, await bench.state(names));
}

/** The days and their slots are the server's; here they are today's. */
const sums = (held: unknown) =>
  Object.fromEntries(
    Object.entries(held as Record<string, string>).map(([field, value]) => [
      field.replace(/\|\d+$/, "|TODAY"),
      value.replace(/^\d+ /, "TODAY "),
    ]),
  );

async function budget(of: Budget): Promise<void> {
  await bench.redis.hset(bench.keys.run(bench.run), "budget", encodeBudget(of));
}

describe("what a key has used", () => {
  const DAY_MS = 86_400_000;
  const row = { kind: "usage", of: "default:a%7Cb%25:c" } as const;
  const key = "a|b%:c";
  const dueIn = async () =>
    Number(await bench.redis.zscore(bench.keys.timers(), "usage|default:a%7Cb%25:c")) - Date.now();

  test("is dropped 92 days after it last used something, and nothing has a TTL", async () => {
    await change({ batch: 1, usage: used(5, 700, [key]) });
    for (const each of await bench.redis.keys(`{${bench.namespace}*`))
      expect(await bench.redis.ttl(each), each).toBe(-1);
    expect(Math.round((await dueIn()) / DAY_MS)).toBe(92);
    await bench.redis.zadd(bench.keys.timers(), Date.now() + 60_000, "usage|default:a%7Cb%25:c");
    await change({ batch: 2, usage: used(1, 0, [key]) });
    expect(Math.round((await dueIn()) / DAY_MS)).toBe(92);
    expect(await bench.timers.promote([row])).toEqual([Reply.Already]);
    await bench.redis.zadd(bench.keys.timers(), 1, "usage|default:a%7Cb%25:c");
    const { due } = await bench.timers.dueTimers(10);
    expect(due).toEqual([row]);
    expect(await bench.timers.promote([row])).toEqual([Reply.Done]);
    expect(await bench.redis.exists(bench.keys.usageOfKey("default", key), bench.keys.timers())).toBe(0);
    expect(await bench.redis.exists(bench.keys.usage("default"))).toBe(1);
  });
});

describe("usage that is told", () => {
  test("is summed for the run, the step, the tenant and its keys, without an event", async () => {
    await change({ startedAgoMs: 0 });
    const changed = await change({ batch: 1, usage: used(5, 700, ["ann"]) });
    expect(Object.keys(changed).sort()).toEqual(["run:RUN", "timers", "usage:default", "usage:default:ann"]);
    expect(changed["run:RUN"]).toMatchObject({
      usage: "5 700",
      "usage:a": "5 700",
      "step:a": "running 1 0 0 ENTRY T - 1",
    });
    expect(sums(changed["usage:default"])).toEqual({ "two|TODAY": "TODAY 5 700" });
    expect(sums(changed["usage:default:ann"])).toEqual({ "two|TODAY": "TODAY 5 700" });
    expect(changed.timers).toEqual({ "usage|default:ann": "T" });
    await change({ batch: 2, usage: used(1_000_000_000_000, 1_000_000_000_000_000) });
    expect(await bench.redis.hget(bench.keys.run(bench.run), "usage")).toBe("1000000000005 1000000000000700");
  });

  test("counts once, however often it is sent", async () => {
    const item = { startedAgoMs: 0, batch: 1, usage: used(5) };
    await change(item);
    expect(await change(item)).toEqual({});
  });

  test("counts with the events of its batch, and with an end", async () => {
    await change({ startedAgoMs: 0, batch: 1, events: ['{"type":"step.output","step":"a"}'], usage: used(5) });
    const changed = await change({
      batch: 2,
      events: ['{"type":"step.output","step":"a"}'],
      usage: used(3),
      end: completed,
    });
    expect(changed["run:RUN"]).toMatchObject({ usage: "8 0", "step:a": "completed 1 0 0 - T T 2" });
    expect(changed["log:RUN"]).toHaveLength(6);
  });

  test.each<[string, CommitItem["end"]]>([
    ["fails and is tried again", { kind: "retry", error, delayMs: 1 }],
    ["fails for good", { kind: "dead", error }],
    ["is given back", { kind: "release" }],
  ])("counts for an attempt that %s", async (_, end) => {
    const changed = await change({ startedAgoMs: 0, batch: 1, usage: used(5), end: end! });
    expect(changed["run:RUN"]).toMatchObject({ usage: "5 0" });
    expect(sums(changed["usage:default"])).toEqual({ "two|TODAY": "TODAY 5 0" });
  });

  test("begins a day anew where one of 92 days ago was", async () => {
    await change({ startedAgoMs: 0, batch: 1, usage: used(5) });
    const key = bench.keys.usage("default");
    const [[field, value]] = Object.entries(await bench.redis.hgetall(key)) as [[string, string]];
    const day = Number(value.split(" ")[0]);
    expect(field).toBe(`two|${day % 92}`);
    await bench.redis.hset(key, field, `${day - 92} 900 900`);
    await change({ batch: 2, usage: used(7, 1) });
    expect(await bench.redis.hgetall(key)).toEqual({ [field]: `${day} 7 1` });
  });

  test("counts nothing where the commit is refused", async () => {
    const before = await bench.state();
    expect(await bench.commit({ entry, startedAgoMs: 0, batch: 1, usage: used(5) }, "bob")).toBe(Reply.NotOwner);
    expect(await bench.state()).toEqual(before);
    await bench.redis.hset(bench.keys.run(bench.run), "status", "cancelled");
    expect(await change({ startedAgoMs: 0, batch: 1, usage: used(5) }, Reply.RunEnded)).toEqual({ "step:two@1:a": [] });
  });

  test.each(["usage", "usageOfKey"] as const)("changes nothing where a key is of another type: %s", async (which) => {
    await bench.redis.set(bench.keys[which]("default", "ann"), "not ours");
    expect(await change({ startedAgoMs: 0, batch: 1, usage: used(5, 0, ["ann"]) }, Reply.WrongType)).toEqual({});
  });

  test("is each item's own in a group", async () => {
    const others = ["a", "b"].map((letter) => `0190b0a1f000700080000000000000${letter}0-0`);
    for (const run of others) await bench.admit(run);
    const entries = [entry, ...(await bench.take("a"))];
    const items = entries.map((each, i) => {
      const item: CommitItem = { entry: each, startedAgoMs: 0, batch: 1, events: [] };
      return i === 1 ? item : { ...item, usage: used(i + 1, 0, ["ann", "bob"]) };
    });
    expect(await bench.store.commit("ann", items)).toEqual([Reply.Done, Reply.Done, Reply.Done]);
    const of = (run: string) => bench.redis.hget(bench.keys.run(run), "usage");
    expect(await Promise.all(entries.map(({ run }) => of(run)))).toEqual(["1 0", null, "3 0"]);
    expect(sums(await bench.redis.hgetall(bench.keys.usageOfKey("default", "bob")))).toEqual({
      "two|TODAY": "TODAY 4 0",
    });
  });
});

describe("a budget", () => {
  const exceeded =
    '{"name":"BudgetExceededError","message":"The run has used 11 tokens; its budget is 10.","code":"budget_exceeded"}';

  test("that is used up to the last is not exceeded", async () => {
    await budget({ tokens: 10, cost: 0.5 });
    const changed = await change({ startedAgoMs: 0, batch: 1, usage: used(10, 500_000_000), end: completed });
    expect(changed["run:RUN"]).toMatchObject({ status: "running", budget: "10 500000000" });
  });

  test("fails the run with the item that exceeds it, whatever that has come to", async () => {
    await budget({ tokens: 10 });
    await change({ startedAgoMs: 0, batch: 1, usage: used(6) });
    const changed = await change({ batch: 2, usage: used(5), end: completed });
    expect(changed).toMatchObject({
      "dead-letters:default": { LETTER: "T" },
      "dead:two@1:a": [expect.stringMatching(/^E1 id=LETTER run=RUN tenant=default attempt=1 error=/)],
      "log:RUN": expect.arrayContaining([
        `T {"type":"step.failed","step":"a","data":{"error":${exceeded}},"attempt":1}`,
        `T {"type":"run.failed","data":{"error":${exceeded},"step":"a","deadLetter":"LETTER"}}`,
      ]),
      "run:RUN": {
        status: "failed",
        endedAt: "T",
        error: exceeded,
        "step:a": "failed 1 0 0 dead:E1 T T 2",
        usage: "11 0",
      },
      "runs:default:status:failed": { RUN: "T" },
      "runs:default:status:running": "gone",
      "step:two@1:a": [],
    });
    expect(changed["run:RUN"]).not.toHaveProperty("output:a");
    expect(changed["step:two@1:b"]).toBeUndefined();
  });

  test("stops an attempt that is at work: its entry is given up, and it is told that the run has ended", async () => {
    await budget({ cost: 0.3 });
    await change({ startedAgoMs: 0, batch: 1, usage: used(0, 300_000_000) });
    const changed = await change({ batch: 2, usage: used(0, 1) }, Reply.RunEnded);
    expect(changed["step:two@1:a"]).toEqual([]);
    expect(changed["run:RUN"]).toMatchObject({
      status: "failed",
      error: expect.stringContaining("The run has used 0.300000001 in cost; its budget is 0.3."),
    });
    expect(await change({ batch: 2, usage: used(0, 1) }, Reply.NotOwner)).toEqual({});
  });

  test("is whole again once the run is replayed", async () => {
    await budget({ tokens: 10 });
    await change({ startedAgoMs: 0, batch: 1, usage: used(11) }, Reply.RunEnded);
    expect(await bench.redis.hget(bench.keys.run(bench.run), "budget")).toBe("10 - 11 0");
    const graph = entry.stream.graph;
    const letter = { id: deadLetterId(bench.run, entry.id), run: bench.run, entry: entry.id, graph, tenant: "default" };
    expect(await bench.store.replay({ ...letter, step: "a" })).toBe(Reply.Done);
    [entry] = (await bench.take("a")) as [Entry];
    await change({ startedAgoMs: 0, batch: 1, usage: used(10) });
    expect((await change({ batch: 2, usage: used(1) }, Reply.RunEnded))["run:RUN"]).toMatchObject({ usage: "22 0" });
  });

  test("fails a graph's other steps and items too", async () => {
    const wide = workflow("wide", { input: array(number()) })
      .map("map", { over: (list) => list, run: (n) => n })
      .step("aside", { after: [], run: () => 1 });
    const { stream, keys, store, redis, run } = {
      ...bench,
      stream: bench.stream("map", wide),
      run: `${"1".repeat(32)}-0`,
    };
    await store.admit({
      id: run,
      graph: wide.graph,
      tenant: "default",
      input: "[1,2]",
      terms: { budget: { tokens: 1 } },
    });
    const [first] = await bench.takeFrom(stream);
    await bench.commit({ entry: first!, startedAgoMs: 0, end: { kind: "expand", total: 2, limit: 2, first: "" } });
    const [one] = await bench.takeFrom(stream);
    const end: CommitItem["end"] = { kind: "complete", output: "1" };
    expect(await bench.commit({ entry: one!, startedAgoMs: 0, batch: 1, usage: used(2), end })).toBe(Reply.Done);
    const record = await redis.hgetall(keys.run(run));
    expect(record).toMatchObject({ status: "failed", "step:map": expect.stringMatching(/^failed /) });
    expect(record["step:aside"]).toMatch(/^cancelled /);
    expect(await redis.xlen(stream.key)).toBe(0);
    expect(JSON.parse((await redis.lrange(keys.log(run), -2, -2))[0]!.replace(/^\d+ /, ""))).toMatchObject({
      ...{ type: "step.failed", step: "map", item: 0, attempt: 1, data: { error: { code: "budget_exceeded" } } },
    });
  });
});

test("a run is admitted with its budget", async () => {
  const budget = { cost: 0.25 };
  const definition = workflow("w", { input: any() }).step("a", () => 1);
  const id = `${"2".repeat(32)}-0`;
  await bench.store.admit({ id, graph: definition.graph, tenant: "default", input: "1", terms: { budget } });
  expect(await bench.redis.hget(bench.keys.run(id), "budget")).toBe("- 250000000");
});
