import { any } from "valibot";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Entry } from "../../../engine/entry.ts";
import { newRunId } from "../../../engine/ids.ts";
import { workflow } from "../../../engine/index.ts";
import { planMigration } from "../../../engine/migration-plan.ts";
import { stepWords } from "../../../engine/run-record.ts";
import { MigrationStore } from "../../../engine/store/migration-store.ts";
import { VersionStore } from "../../../engine/store/version-store.ts";
import { Reply } from "../../../engine/store.ts";
import { changes } from "../../support/state.ts";
import { StoreBench, two } from "../../support/store.ts";

/** `two` with a step between its steps, a second end, and a wait. */
const next = workflow("two", { version: 2, input: any() })
  .step("a", () => null)
  .waitFor("ok", { schema: any() })
  .step("b", { after: ["a", "ok"], run: () => null })
  .step("aside", { after: ["a"], run: () => null });
/** A chain as `two` is, with a third step. */
const longer = workflow("two", { version: 2, input: any() })
  .step("a", () => null)
  .step("b", () => null)
  .step("c", () => null);

let bench: StoreBench;
beforeEach(() => {
  bench = new StoreBench();
});
afterEach(() => bench.close());

interface Told {
  to?: typeof longer | typeof next;
  at: string[];
  outputs?: Record<string, string>;
  input?: string;
  /** What is done between reading and moving. */
  meanwhile?: () => Promise<unknown>;
}

async function move({ to = longer, at, outputs = {}, input, meanwhile }: Told, run = bench.run): Promise<Reply> {
  const record = (await bench.store.readRun(run, "default"))!;
  const from = two.graph;
  const steps = new Map(
    from.steps.flatMap(({ name }) => {
      const text = record.fields[`step:${name}`];
      return text === undefined ? [] : [[name, { ...stepWords(text), hadItems: false }] as const];
    }),
  );
  const plan = planMigration(from, to.graph, steps, { at, given: new Set(Object.keys(outputs)) });
  if (typeof plan === "string") throw new Error(plan);
  await meanwhile?.();
  const store = new MigrationStore(bench.client, bench.store);
  return store.migrate({ record, from, to: to.graph, steps, plan, outputs: new Map(Object.entries(outputs)), input });
}

async function change(act: () => Promise<Reply>, expected: Reply) {
  const before = await bench.state();
  expect(await act()).toBe(expected);
  return changes(before, await bench.state());
}

/** The run with step `a` done and `b` queued, in nobody's hands. */
async function atB(): Promise<void> {
  const entry = await bench.held();
  await bench.commit({ entry, startedAgoMs: 0, end: { kind: "complete", output: '"a"' } });
}

/** The run with step `a` failed once, waiting to be tried again. */
async function retrying(): Promise<Entry> {
  const entry = await bench.held();
  const error = { name: "Error", message: "no" };
  await bench.commit({ entry, startedAgoMs: 0, end: { kind: "retry", error, delayMs: 60_000 } });
  return entry;
}

const moved = 'T {"type":"run.queued","data":{"version":2,"from":1}}';

describe("migrate", () => {
  test("a queued run: its entry is in the new stream, and nothing else has happened to it", async () => {
    await bench.admit();
    expect(await change(() => move({ at: ["a"] }), Reply.Done)).toEqual({
      "log:RUN": ['T {"type":"run.queued"}', moved],
      "run:RUN": expect.objectContaining({ status: "queued", version: "2", "step:a": "queued 0 0 0 E1 - - 0" }),
      "step:two@1:a": [],
      "step:two@2:a": ["E1 run=RUN tenant=default input= failures=0 crashes=0"],
    });
  });

  test("a run that has begun: what is done is kept, and the step it is at is queued in the new stream", async () => {
    await atB();
    const changed = await change(() => move({ at: ["b"] }), Reply.Done);
    expect(Object.keys(changed).sort()).toEqual(["log:RUN", "run:RUN", "step:two@1:b", "step:two@2:b"]);
    expect((changed["log:RUN"] as string[]).slice(-2)).toEqual([moved, 'T {"type":"run.started"}']);
    expect(changed["run:RUN"]).toMatchObject({
      ...{ status: "running", version: "2", "output:a": '"a"' },
      ...{ "step:a": "completed 1 0 0 - T T 0", "step:b": "queued 0 0 0 E1 - - 0" },
    });
    expect(changed["run:RUN"]).not.toHaveProperty("active");
  });

  test("to a graph with joins: they, its ends and what is at work are counted; outputs and input are written", async () => {
    await atB();
    const changed = await change(
      () => move({ to: next, at: ["b"], outputs: { ok: '"yes"', aside: "7" }, input: '{"n":2}' }),
      Reply.Done,
    );
    expect(changed["run:RUN"]).toMatchObject({
      ...{ input: '{"n":2}', "output:ok": '"yes"', "output:aside": "7", "join:b": "2 2", active: "1", ends: "1" },
      ...{ "step:ok": "completed 0 0 0 - - T 0", "step:aside": "completed 0 0 0 - - T 0" },
    });
  });

  test("back to an earlier step: what came after it is gone", async () => {
    await atB();
    const changed = await change(() => move({ at: ["a"] }), Reply.Done);
    expect(changed["run:RUN"]).toMatchObject({ "step:a": "queued 0 0 0 E1 - - 0" });
    for (const field of ["output:a", "step:b"]) expect(changed["run:RUN"]).not.toHaveProperty(field);
    expect(changed).toMatchObject({ "step:two@1:b": [], "step:two@2:a": [expect.any(String)] });
  });

  test("a step that waits to be tried again keeps its time, its attempts and its error", async () => {
    await retrying();
    const due = await bench.redis.zrange(bench.keys.timers(), "0", "-1", "WITHSCORES");
    const changed = await change(() => move({ at: ["a"] }), Reply.Done);
    const row = `wake|retry|default|RUN|two|2|a||E1`;
    expect(changed).toEqual({
      "log:RUN": expect.arrayContaining([moved]),
      "run:RUN": expect.objectContaining({
        ...{ status: "running", version: "2", "step:a": `retrying 1 1 0 timer:${row} T - 0` },
        "error:a": expect.any(String),
      }),
      timers: { [row]: "T" },
      delayed: { "two@1:a": "0", "two@2:a": "1" },
    });
    expect((await bench.redis.zrange(bench.keys.timers(), "0", "-1", "WITHSCORES"))[1]).toBe(due[1]);
  });

  test("or is begun anew at another step: the row is gone", async () => {
    await retrying();
    const changed = await change(() => move({ at: ["b"], outputs: { a: "1" } }), Reply.Done);
    expect(changed).toMatchObject({ timers: "gone", delayed: { "two@1:a": "0" } });
    expect(changed["run:RUN"]).toMatchObject({ "step:a": "completed 0 0 0 - - T 0", "output:a": "1" });
    expect(changed["run:RUN"]).not.toHaveProperty("error:a");
  });

  test("what woke a step that is queued again is kept", async () => {
    await bench.admit();
    const { keys, redis, run } = bench;
    const [old] = await redis.xrange(keys.step(two.graph, "a"), "-", "+");
    await redis.xdel(keys.step(two.graph, "a"), old![0]);
    const entry = (await redis.xadd(
      keys.step(two.graph, "a"),
      "*",
      ...["run", run, "tenant", "default", "input", "", "failures", "2", "crashes", "0", "wake", "timeout"],
    ))!;
    await redis.hset(keys.run(run), "step:a", `queued 3 2 0 ${entry} - - 0`);
    const changed = await change(() => move({ at: ["a"] }), Reply.Done);
    expect(changed["step:two@2:a"]).toEqual(["E1 run=RUN tenant=default input= failures=2 crashes=0 wake=timeout"]);
    expect(changed["run:RUN"]).toMatchObject({ "step:a": "queued 3 2 0 E1 - - 0" });
  });

  test("an entry that is in a worker's hands", async () => {
    await bench.held();
    expect(await change(() => move({ at: ["a"] }), Reply.NotOwner)).toEqual({});
  });

  test("a run that is not as it was read: another step, another status, another version", async () => {
    const entry = await bench.held();
    const commit = () => bench.commit({ entry, startedAgoMs: 0, end: { kind: "complete", output: '"a"' } });
    expect(await move({ at: ["a"], meanwhile: commit })).toBe(Reply.Stale);
    for (const [field, value] of [
      ["status", "waiting"],
      ["version", "3"],
      ["tenant", "acme"],
      ["step:c", "queued 0 0 0 1-1 - - 0"],
    ] as const) {
      const set = () => bench.redis.hset(bench.keys.run(bench.run), field, value);
      const was = await bench.redis.hget(bench.keys.run(bench.run), field);
      expect([field, await move({ at: ["b"], meanwhile: set })]).toEqual([field, Reply.Stale]);
      if (was === null) await bench.redis.hdel(bench.keys.run(bench.run), field);
      else await bench.redis.hset(bench.keys.run(bench.run), field, was);
    }
    expect(await change(() => move({ at: ["b"] }), Reply.Done)).toHaveProperty("step:two@2:b");
  });

  test("a run that has ended meanwhile, or is gone", async () => {
    await bench.admit();
    const cancel = () => bench.store.cancel(bench.run, two.graph, "default");
    expect(await move({ at: ["a"], meanwhile: cancel })).toBe(Reply.RunEnded);
    const other = newRunId(0);
    await bench.admit(other);
    const gone = () => bench.redis.del(bench.keys.run(other));
    expect(await move({ at: ["a"], meanwhile: gone }, other)).toBe(Reply.UnknownRun);
  });

  test.each(["log", "timers", "delayed", "index", "old stream", "new stream"])(
    "a key of the wrong type refuses it: %s",
    async (which) => {
      await bench.admit();
      const { keys, run, redis } = bench;
      const key = {
        log: keys.log(run),
        timers: keys.timers(),
        delayed: keys.delayed(),
        index: keys.runsByStatus("default", "waiting"),
        "old stream": keys.step(two.graph, "a"),
        "new stream": keys.step(longer.graph, "a"),
      }[which]!;
      let before = {};
      const meanwhile = async () => {
        await redis.del(key);
        await redis.set(key, "not ours");
        before = await bench.state();
      };
      expect(await move({ at: ["a"], meanwhile })).toBe(Reply.WrongType);
      expect(await bench.state()).toEqual(before);
    },
  );
});

test("what is meant for the version that a run was of is refused: cancel and signal", async () => {
  await bench.admit();
  await move({ at: ["a"] });
  expect(await change(() => bench.store.cancel(bench.run, two.graph, "default"), Reply.Moved)).toEqual({});
  const of = { run: bench.run, graph: two.graph, tenant: "default", lane: "normal" } as const;
  const signal = () => bench.store.signal({ ...of, step: "a", key: "key", stored: "1" });
  expect(await change(signal, Reply.Moved)).toEqual({});
  expect(await bench.store.cancel(bench.run, longer.graph, "default")).toBe(Reply.Done);
});

describe("retire-version", () => {
  const retire = () => new VersionStore(bench.client, bench.keys).retire(two.graph);

  test("the streams of a version that are empty are gone, with what was counted of it", async () => {
    await bench.held();
    await bench.store.cancel(bench.run, two.graph, "default");
    await bench.redis.hset(bench.keys.delayed(), "two@1:a", 0, "two@2:a", 0);
    expect(await change(retire, Reply.Done)).toEqual({ "step:two@1:a": "gone", delayed: { "two@2:a": "0" } });
    expect(await change(retire, Reply.Done)).toEqual({});
  });

  test("with an entry, a dead letter or a timer row it stays", async () => {
    const entry = await retrying();
    expect(await change(retire, Reply.Stale)).toEqual({});
    await bench.store.cancel(bench.run, two.graph, "default");
    await bench.redis.xadd(bench.keys.dead(two.graph, "b"), "*", "id", entry.id);
    expect(await change(retire, Reply.Stale)).toEqual({});
    await bench.redis.del(bench.keys.dead(two.graph, "b"));
    await bench.admit(newRunId(0));
    expect(await change(retire, Reply.Stale)).toEqual({});
  });

  test.each(["delayed", "stream"])("a key of the wrong type refuses it: %s", async (which) => {
    const key = which === "delayed" ? bench.keys.delayed() : bench.keys.dead(two.graph, "b");
    await bench.redis.set(key, "not ours");
    expect(await change(retire, Reply.WrongType)).toEqual({});
  });
});
