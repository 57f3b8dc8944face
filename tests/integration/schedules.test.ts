import * as v from "valibot";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { workflow } from "../../engine/index.ts";
import { type EngineUnderTest, engineUnderTest } from "../support/engine-under-test.ts";
import { Gates } from "../support/gates.ts";
import { eventually } from "../support/gateway.ts";
import { iso, ScheduleBench } from "../support/schedules.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const gates = new Gates();
/** What the schema of `report` asks for beside the customer. */
let minimum = 0;
const report = workflow("report", {
  input: v.pipe(
    v.object({ customer: v.string(), size: v.optional(v.number(), 1) }),
    v.check(({ size }) => size >= minimum, "The size is too small."),
  ),
}).step("write", ({ customer, size }) => `${customer}: ${size}`);
const held = workflow("held", { input: v.any() }).step("wait", async (_, ctx) => gates.pass(ctx.run.id, ctx.signal));

let engine: EngineUnderTest;
let bench: ScheduleBench;
beforeEach(async () => {
  minimum = 0;
  engine = await engineUnderTest([report, held], { partitions: 1 });
  bench = new ScheduleBench(engine);
});
afterEach(() => engine[Symbol.asyncDispose]());

const hourly = { name: "hourly", workflow: report, input: { customer: "acme" }, every: HOUR };
const often = { name: "often", workflow: held, input: null, every: MINUTE };
const schedules = () => engine.millrace.schedules;

describe("a schedule", () => {
  test("has its runs made by any worker, each with who made it", async () => {
    await schedules().create({ ...hourly, every: 1_000, metadata: { team: "ops" } });
    await engine.worker();
    const [first] = await eventually(
      () => bench.runs("hourly"),
      (runs) => runs.length > 1,
    );
    const run = await engine.ended(first!.run.id);
    expect(run).toMatchObject({ status: "completed", output: "acme: 1", input: { customer: "acme", size: 1 } });
    expect(run.metadata).toEqual({ team: "ops", schedule: "hourly", tick: first!.tick });
    const { createdAt, lastTick, nextTick } = await bench.get("hourly");
    expect(Date.parse(first!.tick)).toBe(Date.parse(createdAt) + 1_000);
    expect(Date.parse(nextTick!) - Date.parse(lastTick!)).toBe(1_000);
  });

  test("makes one run per tick, however many workers there are", async () => {
    await schedules().create({ ...hourly, every: 1_000, overlap: "allow", missed: "all" });
    const first = Math.floor(Date.now() / 1_000 - 250) * 1_000;
    await bench.due("hourly", first);
    // All at once on the same tick, and then as workers do.
    const together = Array.from({ length: 5 }, () => bench.tick("hourly"));
    await Promise.all([...together, ...[1, 2, 3].map(() => engine.worker())]);
    await eventually(
      () => bench.redis.hmget(bench.keys.schedule("default", "hourly"), "nextTick", "starting"),
      ([nextTick, starting]) => Number(nextTick) > first + 252_000 && starting === null,
    );
    const runs = await bench.runs("hourly");
    expect(runs.length).toBeGreaterThan(250);
    expect(runs.map(({ tick }) => tick)).toEqual(runs.map((_, i) => iso(first + i * 1_000)));
  });

  test("once only, ends with its tick, and is gone a week later", async () => {
    const at = iso(Date.now() + 60_000);
    expect(await schedules().create({ name: "once", workflow: held, input: 1, at })).toMatchObject({
      at,
      nextTick: at,
    });
    await bench.due("once", Date.now() - 1_000);
    await bench.tick("once");
    const ended = await bench.get("once");
    expect(ended).toMatchObject({ status: "ended", lastRun: expect.any(String) });
    expect(ended.nextTick).toBeUndefined();
    const gone = (await bench.timer("once"))!;
    expect(gone).toBeGreaterThan(Date.now() + 6.9 * DAY);
    for (const change of [schedules().pause("once"), schedules().resume("once")])
      await expect(change).rejects.toMatchObject({ code: "schedule_ended" });
    expect(await bench.tick("once")).toBeGreaterThan(6.9 * DAY);
    await bench.redis.hset(bench.keys.schedule("default", "once"), "updatedAt", Date.now() - 8 * DAY);
    expect(await bench.tick("once")).toBeUndefined();
    await expect(bench.get("once")).rejects.toMatchObject({ code: "not_found" });
    expect(await bench.redis.zcard(bench.keys.timers())).toBe(0);
  });

  test("puts its ticks off by less than its jitter, and by the same time each", async () => {
    await schedules().create({ ...often, jitterMs: MINUTE });
    const offset = Number(await bench.redis.hget(bench.keys.schedule("default", "often"), "offset"));
    expect(offset).toBeLessThan(MINUTE);
    const { nextTick } = await bench.get("often");
    expect(await bench.timer("often")).toBe(Date.parse(nextTick!) + offset);
    // A tick that is due, but for the offset.
    await bench.due("often", Date.now() - MINUTE / 2, { offset: 3 * MINUTE });
    expect(await bench.tick("often")).toBeGreaterThan(MINUTE);
    expect(await bench.runs("often")).toEqual([]);
    await bench.due("often", Date.now() - MINUTE / 2, { offset: 0 });
    await bench.tick("often");
    expect(await bench.runs("often")).toHaveLength(1);
  });
});

describe("a tick while the last run is live", () => {
  /** Two ticks, a minute apart, carried out one after the other. */
  async function twoTicks(overlap: "skip" | "queue" | "allow"): Promise<[number, number]> {
    await schedules().create({ ...often, overlap });
    const first = Date.now() - 1.5 * MINUTE;
    const second = first + MINUTE;
    await bench.due("often", first, { missed: "all" });
    await bench.tick("often");
    return [first, second];
  }

  test("is skipped, and the schedule says so", async () => {
    const [first, second] = await twoTicks("skip");
    expect((await bench.runs("often")).map(({ tick }) => tick)).toEqual([iso(first)]);
    expect(await bench.get("often")).toMatchObject({
      lastTick: iso(first),
      lastSkipped: { tick: iso(second), reason: "overlap" },
      nextTick: iso(second + MINUTE),
    });
  });

  test("is skipped as long as that run is live, and no longer", async () => {
    await schedules().create(often);
    const tick = Date.now() - MINUTE / 2;
    const { id } = await engine.millrace.runs.start(held, null);
    await bench.due("often", tick, { lastRun: id });
    await bench.tick("often");
    expect(await bench.runs("often")).toEqual([]);
    expect(await bench.get("often")).toMatchObject({
      lastRun: id,
      lastSkipped: { tick: iso(tick), reason: "overlap" },
    });
    await engine.millrace.runs.cancel(id);
    await bench.due("often", tick);
    await bench.tick("often");
    expect(await bench.runs("often")).toHaveLength(1);
  });

  test("starts as well, where that is allowed", async () => {
    const [first, second] = await twoTicks("allow");
    expect((await bench.runs("often")).map(({ tick }) => tick)).toEqual([iso(first), iso(second)]);
  });

  test("waits, and starts when that run has ended, whatever end that is", async () => {
    const [first, second] = await twoTicks("queue");
    const { waiting, lastRun } = await bench.get("often");
    expect(waiting).toEqual([iso(second)]);
    // Nobody looks for that end before the next tick: it makes the timer due itself.
    const next = second + MINUTE;
    expect(await bench.timer("often")).toBe(next);
    expect(await bench.tick("often")).toBeGreaterThan(0);
    expect(await bench.runs("often")).toHaveLength(1);
    const ended = Date.now();
    await engine.millrace.runs.cancel(lastRun!);
    expect(Math.abs((await bench.timer("often"))! - ended)).toBeLessThan(5_000);
    expect(await bench.timer("often")).not.toBe(next);
    await bench.tick("often");
    expect((await bench.runs("often")).map(({ tick }) => tick)).toEqual([iso(first), iso(second)]);
    expect((await bench.get("often")).waiting).toBeUndefined();
  });

  test("waits and starts with nobody's help but a worker's", async () => {
    const [first, second] = await twoTicks("queue");
    await engine.worker();
    gates.open((await bench.get("often")).lastRun!);
    const runs = await eventually(
      () => bench.runs("often"),
      (found) => found.length > 1,
    );
    expect(runs.map(({ tick }) => tick)).toEqual([iso(first), iso(second)]);
    gates.open(runs[1]!.run.id);
    await engine.ended(runs[1]!.run.id);
  });
});

describe("ticks that nobody was there for", () => {
  test.each([
    ["skip", 0, DAY],
    ["skip", 1, MINUTE],
    ["latest", 1, DAY],
    ["all", 11, MINUTE],
  ] as const)("with missed: %s, %i of them run", async (missed, count, every) => {
    await schedules().create({ ...often, every, missed, overlap: "allow" });
    const tick = Date.now() - 10.5 * every;
    await bench.due("often", tick);
    await bench.tick("often");
    const runs = await bench.runs("often");
    expect(runs).toHaveLength(count);
    if (count > 0) expect(runs[count - 1]!.tick).toBe(iso(tick + 10 * every));
    const { nextTick, lastSkipped } = await bench.get("often");
    expect(nextTick).toBe(iso(tick + 11 * every));
    expect(lastSkipped).toEqual(missed === "all" ? undefined : { tick: iso(tick), reason: "missed" });
    expect(await bench.timer("often")).toBe(tick + 11 * every);
  });

  test("all of a long time run, 100 at a time", async () => {
    await schedules().create({ ...often, missed: "all", overlap: "allow" });
    await bench.due("often", Date.now() - 150 * MINUTE);
    expect(await bench.tick("often")).toBe(0);
    expect(await bench.runs("often")).toHaveLength(100);
    expect(await bench.tick("often")).toBeGreaterThan(0);
    expect((await bench.runs("often")).length).toBeGreaterThan(149);
  });

  test("while it was paused run by no policy", async () => {
    await schedules().create({ ...often, missed: "all", overlap: "queue" });
    await bench.due("often", Date.now() - 1.5 * MINUTE);
    await bench.tick("often");
    expect(await bench.runs("often")).toHaveLength(1);
    const paused = await schedules().pause("often");
    expect(paused).toMatchObject({ status: "paused" });
    expect(paused).not.toHaveProperty("nextTick");
    expect(paused).not.toHaveProperty("waiting");
    expect(await bench.timer("often")).toBeUndefined();
    expect(await bench.tick("often")).toBeUndefined();
    expect(await schedules().pause("often")).toEqual(paused);
    const resumed = await schedules().resume("often");
    expect(Date.parse(resumed.nextTick!)).toBeGreaterThan(Date.now());
    expect(await bench.timer("often")).toBe(Date.parse(resumed.nextTick!));
    expect(await schedules().resume("often")).toEqual(resumed);
    expect(await bench.tick("often")).toBeGreaterThan(0);
    expect(await bench.runs("often")).toHaveLength(1);
  });
});

test("a timer of an earlier generation starts nothing, and goes", async () => {
  await schedules().create(often);
  const row = await bench.row("often");
  await schedules().create({ ...often, overlap: "queue" });
  await bench.due("often", Date.now() - 1_000);
  expect(await bench.tick("often", row)).toBeUndefined();
  expect(await bench.runs("often")).toEqual([]);
  await schedules().delete("often");
  expect(await bench.tick("often", row)).toBeUndefined();
});

describe("a worker that dies in the middle of a tick", () => {
  test("after the runs were decided on: the next one starts them, once", async () => {
    await schedules().create(often);
    const tick = Date.now() - MINUTE / 2;
    await bench.due("often", tick + MINUTE, { starting: tick });
    for (let i = 0; i < 2; i += 1) await bench.tick("often");
    expect((await bench.runs("often")).map((each) => each.tick)).toEqual([iso(tick)]);
    expect(await bench.redis.hget(bench.keys.schedule("default", "often"), "starting")).toBeNull();
  });

  test("after the runs were started: they are the same again", async () => {
    await schedules().create({ ...often, overlap: "allow" });
    const tick = Date.now() - MINUTE / 2;
    await bench.due("often", tick);
    await bench.tick("often");
    const before = await bench.runs("often");
    await bench.due("often", tick + MINUTE, { starting: tick });
    await bench.tick("often");
    expect(await bench.runs("often")).toEqual(before);
  });
});

describe("a tick whose run cannot be made", () => {
  test("is passed over and shown, and the next one's is made", async () => {
    await schedules().create(hourly);
    minimum = 2;
    const tick = Date.now() - MINUTE;
    await bench.due("hourly", tick);
    expect(await bench.tick("hourly")).toBeGreaterThan(0);
    expect(await bench.get("hourly")).toMatchObject({
      lastError: { tick: iso(tick), code: "invalid_input", message: "The input does not fit its schema." },
      nextTick: iso(tick + HOUR),
    });
    await expect(schedules().trigger("hourly")).rejects.toMatchObject({ code: "invalid_input" });
    minimum = 0;
    await bench.due("hourly", tick);
    await bench.tick("hourly");
    expect(await bench.get("hourly")).not.toHaveProperty("lastError");
    expect(await bench.runs("hourly")).toHaveLength(1);
  });

  test("by this worker, which does not know the workflow, is left to another", async () => {
    await schedules().create(often);
    const tick = Date.now() - 1.5 * MINUTE;
    await bench.due("often", tick, { workflow: "elsewhere" });
    expect(await bench.tick("often")).toBe(1_000);
    const lastError = { tick: iso(tick), code: "unknown_workflow", message: "No worker knows the workflow elsewhere." };
    expect(await bench.get("often")).toMatchObject({ lastError, nextTick: iso(tick) });
    expect(await bench.tick("often")).toBe(1_000);
    await bench.redis.hset(bench.keys.schedule("default", "often"), "workflow", "held");
    await bench.tick("often");
    expect(await bench.get("often")).not.toHaveProperty("lastError");
    expect(await bench.runs("often")).toHaveLength(1);
  });
});
