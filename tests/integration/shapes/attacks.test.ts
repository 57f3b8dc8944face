import * as v from "valibot";
import { describe, expect, test } from "vitest";
import { FatalError, type RunEvent, workflow } from "../../../engine/index.ts";
import { type EngineUnderTest, engineUnderTest } from "../../support/engine-under-test.ts";
import { rawRedis } from "../../support/redis.ts";
import { stateOf } from "../../support/state.ts";

const input = v.any();
const tick = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Every kind of step, whose output is known. */
const inner = workflow("inner", { input: v.number() }).step("double", (n) => 2 * n);
const mixed = workflow("mixed", { input })
  .map("map", { after: [], over: () => [1, 2, 3, 4, 5, 6, 7, 8], limit: 3, run: (n) => n })
  .repeat("loop", { after: [], run: (n: number) => n + 1, until: (_, turn) => turn === 3, max: 9 })
  .sleep("sleep", { after: [], for: 20 })
  .waitFor("signal", { after: [], schema: v.string() })
  .map("children", { after: ["map"], over: (list) => list, workflow: inner, input: (n) => n })
  .child("child", { after: ["loop"], workflow: inner, input: (n) => n })
  .step("join", { after: ["children", "child", "sleep", "signal"], run: (given) => given });
const OUTPUT = { children: [2, 4, 6, 8, 10, 12, 14, 16], child: 8, sleep: 0, signal: "go" };
const STEPS = ["map", "loop", "sleep", "signal", "children", "child", "join"];

/** How often each step, and each item of one, was told to have completed. */
function completions(events: readonly RunEvent[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { type, step, item } of events)
    if (type === "step.completed") counts.set(`${step} ${item ?? ""}`, (counts.get(`${step} ${item ?? ""}`) ?? 0) + 1);
  return counts;
}

async function start(engine: EngineUnderTest): Promise<string> {
  const { id } = await engine.millrace.runs.start(mixed, 0);
  await engine.millrace.runs.signal(id, "signal", "go");
  return id;
}

async function expectWhole(engine: EngineUnderTest, id: string): Promise<void> {
  const events = await engine.events(id);
  const [first] = await rawRedis().lrange(`{${engine.namespace}:0}:log:${id}`, -1, -1);
  expect(await engine.millrace.runs.get(id), first).toMatchObject({ status: "completed", output: OUTPUT });
  for (const [what, count] of completions(events)) expect(count, what).toBe(1);
}

/** Nothing of an ended run is in a stream, in the set of timers or counted as delayed. */
async function expectNothingLeft(engine: EngineUnderTest): Promise<void> {
  const state = await stateOf(rawRedis(), engine.namespace, {});
  for (const [key, held] of Object.entries(state)) {
    if (key.startsWith("step:")) expect(held, key).toEqual([]);
    if (key === "delayed") for (const [step, count] of Object.entries(held)) expect(count, step).toBe("0");
    if (key === "timers") expect(Object.keys(held).filter((row) => !row.startsWith("cancel"))).toEqual([]);
  }
}

describe("two workers", () => {
  test("that finish the sides of a join at one instant begin it once, in every one of 300 rounds", async () => {
    const diamond = workflow("diamond", { input })
      .step("a", { after: [], run: tick })
      .step("b", { after: [], run: tick })
      .step("join", { after: ["a", "b"], run: () => 1 });
    await using engine = await engineUnderTest([diamond], { partitions: 1 });
    await Promise.all([engine.worker(), engine.worker()]);
    const ids = await Promise.all(
      Array.from({ length: 300 }, async () => (await engine.millrace.runs.start(diamond, 0)).id),
    );
    for (const id of ids) {
      const events = await engine.events(id);
      expect(events.filter(({ type, step }) => type === "step.started" && step === "join")).toHaveLength(1);
      expect(events.at(-1)).toMatchObject({ type: "run.completed" });
    }
    await expectNothingLeft(engine);
  });

  test("whose two branches fail at one instant leave one dead letter, and a replay goes on with both; twice", async () => {
    let broken = true;
    const fail = async () => {
      await tick();
      if (broken) throw new FatalError("no");
      return 1;
    };
    const both = workflow("both", { input })
      .step("a", { after: [], run: fail })
      .step("b", { after: [], run: fail })
      .step("join", { after: ["a", "b"], run: () => 2 });
    await using engine = await engineUnderTest([both], { partitions: 1 });
    await Promise.all([engine.worker(), engine.worker()]);
    const { millrace } = engine;
    for (let round = 0; round < 20; round += 1) {
      broken = true;
      const { id } = await millrace.runs.start(both, 0);
      for (let replays = 0; replays < 2; replays += 1) {
        await engine.events(id, replays === 0 ? 0 : (await millrace.runs.get(id)).seq);
        const letters = (await millrace.deadLetters.list()).data;
        expect(letters).toHaveLength(1);
        const { seq } = await millrace.runs.get(id);
        broken = replays === 0;
        const again = millrace.deadLetters.replay(letters[0]!.id);
        const twice = millrace.deadLetters.replay(letters[0]!.id);
        expect((await Promise.allSettled([again, twice])).filter(({ status }) => status === "fulfilled")).toHaveLength(
          1,
        );
        await engine.events(id, seq);
      }
      expect(await millrace.runs.get(id)).toMatchObject({ status: "completed", output: 2 });
    }
    await expectNothingLeft(engine);
  });
});

describe("every kind of step", () => {
  test("completes once though workers take its deliveries with them to the grave", async () => {
    await using engine = await engineUnderTest([mixed], { partitions: 1 });
    await engine.worker({ leaseMs: 300 });
    const ids = await Promise.all(Array.from({ length: 5 }, () => start(engine)));
    const redis = rawRedis();
    let haunting = true;
    let stolen = 0;
    const streams = STEPS.map((step) => `{${engine.namespace}:0}:step:mixed@1:${step}`);
    streams.push(`{${engine.namespace}:0}:step:inner@1:double`);
    const ghost = (async () => {
      for (let life = 0; haunting && stolen < 60; life += 1) {
        for (const stream of streams) {
          const read = ["GROUP", "workers", `ghost-${life}`, "COUNT", 1, "STREAMS", stream, ">"] as const;
          if ((await redis.call("XREADGROUP", ...read)) !== null) stolen += 1;
        }
        await tick();
      }
    })();
    for (const id of ids) await expectWhole(engine, id);
    haunting = false;
    await ghost;
    expect(stolen).toBeGreaterThan(5);
    await expectNothingLeft(engine);
  });

  test("completes once while Redis forgets every script again and again", async () => {
    await using engine = await engineUnderTest([mixed], { partitions: 1 });
    await engine.worker();
    const redis = rawRedis();
    let flushing = true;
    let flushes = 0;
    const flusher = (async () => {
      for (; flushing; flushes += 1) {
        await redis.script("FLUSH");
        await tick();
      }
    })();
    const ids = await Promise.all(Array.from({ length: 5 }, () => start(engine)));
    for (const id of ids) await expectWhole(engine, id);
    flushing = false;
    await flusher;
    expect(flushes).toBeGreaterThan(10);
  });

  test("is given back and goes on elsewhere when its worker is stopped, again and again", async () => {
    await using engine = await engineUnderTest([mixed], { partitions: 1 });
    const ids = await Promise.all(Array.from({ length: 10 }, () => start(engine)));
    for (let life = 0; life < 6; life += 1) {
      const worker = await engine.worker({ drainMs: 0, concurrency: 4 });
      await tick();
      await worker.stop();
    }
    await engine.worker();
    for (const id of ids) await expectWhole(engine, id);
    await expectNothingLeft(engine);
  });

  test("is gone with its run, whenever that is cancelled: nothing is left, and no child goes on", async () => {
    const child = workflow("sleeper", { input }).sleep("sleep", 86_400_000);
    const flow = workflow("flow", { input })
      .map("children", {
        after: [],
        over: () => Array.from({ length: 30 }, (_, i) => i),
        limit: 30,
        workflow: child,
        input: (n) => n,
      })
      .child("child", { after: [], workflow: child, input: () => 1 })
      .map("items", { after: [], over: () => Array.from({ length: 1_000 }, (_, i) => i), run: (n) => n })
      .sleep("sleep", { after: [], for: 86_400_000 })
      .waitFor("signal", { after: [], schema: input, timeoutMs: 86_400_000 });
    await using engine = await engineUnderTest([flow], { partitions: 1 });
    await Promise.all([engine.worker(), engine.worker()]);
    const { runs } = engine.millrace;
    const cancelled: string[] = [];
    for (let round = 0; round < 40; round += 1) {
      const { id } = await runs.start(flow, null);
      // At another moment of its life each time.
      for (let ticks = 0; ticks < 4 * round; ticks += 1) await tick();
      await runs.cancel(id);
      cancelled.push(id);
    }
    for (const id of cancelled) expect(await engine.ended(id)).toMatchObject({ status: "cancelled" });
    const live = async () => {
      const pages = ["queued", "running", "waiting"] as const;
      const lists = await Promise.all(pages.map((status) => runs.list({ status, limit: 100 })));
      return lists.flatMap(({ data }) => data);
    };
    await expect.poll(live, { timeout: 20_000, interval: 50 }).toEqual([]);
    await expect.poll(async () => rawRedis().zcard(`{${engine.namespace}:0}:timers`), { timeout: 5_000 }).toBe(0);
    await expectNothingLeft(engine);
  });
});

test("a signal at the instant of the time-out: one of them counts, never both and never none", async () => {
  const timed = workflow("timed", { input })
    .waitFor("wait", { schema: v.string(), timeoutMs: 30 })
    .step("end", (given) => given);
  await using engine = await engineUnderTest([timed], { partitions: 1 });
  await Promise.all([engine.worker(), engine.worker()]);
  const { runs } = engine.millrace;
  const outcomes = { signalled: 0, timedOut: 0 };
  const round = async (i: number) => {
    const { id } = await runs.start(timed, null);
    await engine.until(id, ({ type }) => type === "run.waiting");
    await new Promise((resolve) => setTimeout(resolve, 2 * (i % 40)));
    const accepted = await runs.signal(id, "wait", "yes").then(
      () => true,
      (error: { code: string }) => {
        expect(error.code).toMatch(/^(signal_settled|run_ended)$/);
        return false;
      },
    );
    const { output } = await engine.ended(id);
    expect(output).toEqual(accepted ? { timedOut: false, data: "yes" } : { timedOut: true });
    outcomes[accepted ? "signalled" : "timedOut"] += 1;
  };
  await Promise.all(Array.from({ length: 120 }, (_, i) => round(i)));
  expect(outcomes.signalled).toBeGreaterThan(0);
  expect(outcomes.timedOut).toBeGreaterThan(0);
  await expectNothingLeft(engine);
});

test("a map whose items say more than a log holds completes, and its log stays within its cap", async () => {
  const loud = workflow("loud", { input }).map("each", {
    over: () => Array.from({ length: 600 }, (_, i) => i),
    limit: 50,
    run: (n, ctx) => {
      ctx.emit({ n, pad: "x".repeat(10_000) });
      return n;
    },
  });
  await using engine = await engineUnderTest([loud], { partitions: 1 });
  await engine.worker();
  const { id } = await engine.millrace.runs.start(loud, null);
  const { runs } = engine.millrace;
  await expect.poll(async () => (await runs.get(id)).status, { timeout: 20_000 }).toBe("completed");
  expect((await runs.get(id)).output).toHaveLength(600);
  const bytes = (await rawRedis().memory("USAGE", `{${engine.namespace}:0}:log:${id}`, "SAMPLES", 0)) as number;
  // Its size is estimated by Redis when it is looked at.
  expect(bytes).toBeLessThan(6_000_000);
});

test("a thousand items at once end with their run, at one call", async () => {
  const wide = workflow("wide", { input }).map("each", {
    over: () => Array.from({ length: 1_500 }, (_, i) => i),
    limit: 1_000,
    run: (_, ctx) =>
      new Promise((_resolve, reject) => ctx.signal.addEventListener("abort", () => reject(ctx.signal.reason))),
  });
  await using engine = await engineUnderTest([wide], { partitions: 1 });
  await engine.worker({ concurrency: 50 });
  const { id } = await engine.millrace.runs.start(wide, null);
  await engine.until(id, ({ type, item }) => type === "step.started" && item === 49);
  await engine.millrace.runs.cancel(id);
  expect(await engine.ended(id)).toMatchObject({ status: "cancelled", steps: { each: { status: "cancelled" } } });
  await expectNothingLeft(engine);
});
