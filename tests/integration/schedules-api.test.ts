import * as v from "valibot";
import { afterEach, beforeEach, describe, expect, expectTypeOf, test } from "vitest";
import { type ScheduleOptions, type ScheduleView, workflow } from "../../engine/index.ts";
import { type EngineUnderTest, engineUnderTest } from "../support/engine-under-test.ts";
import { ScheduleBench } from "../support/schedules.ts";

const report = workflow("report", { input: v.object({ customer: v.string() }) }).step(
  "write",
  ({ customer }) => customer,
);

let engine: EngineUnderTest;
let bench: ScheduleBench;
beforeEach(async () => {
  engine = await engineUnderTest([report], { partitions: 1 });
  bench = new ScheduleBench(engine);
});
afterEach(() => engine[Symbol.asyncDispose]());

const nightly = {
  ...{ name: "nightly", workflow: report, input: { customer: "acme" } },
  ...{ cron: "30 2 * * *", timeZone: "Europe/Berlin" },
};
const schedules = () => engine.millrace.schedules;
const TIME = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);

describe("creating a schedule", () => {
  test("stores it with its defaults, and its next tick", async () => {
    const { created, ...view } = await schedules().create({ ...nightly, metadata: { team: "ops" } });
    expect(created).toBe(true);
    expect(view).toEqual({
      ...{ name: "nightly", status: "active", workflow: "report", input: { customer: "acme" } },
      ...{ cron: "30 2 * * *", timeZone: "Europe/Berlin", overlap: "skip", missed: "latest", jitterMs: 0 },
      ...{ metadata: { team: "ops" }, createdAt: TIME, updatedAt: TIME, nextTick: TIME },
    });
    expect(view.nextTick).toMatch(/T0[01]:30:00\.000Z$/);
    expect(await schedules().get("nightly")).toEqual(view);
    expect(await bench.timer("nightly")).toBe(Date.parse(view.nextTick!));
  });

  test("gives its runs a priority and tags, which lists show of it", async () => {
    const { created: _, ...view } = await schedules().create({ ...nightly, priority: "high", tags: ["daily", "acme"] });
    expect(view).toMatchObject({ priority: "high", tags: ["daily", "acme"] });
    expect((await schedules().list()).data).toMatchObject([{ priority: "high", tags: ["daily", "acme"] }]);
    await bench.due("nightly", Date.now() - 1_000);
    await bench.tick("nightly");
    const ticked = await engine.millrace.runs.get((await bench.get("nightly")).lastRun!);
    const triggered = await schedules().trigger("nightly");
    for (const run of [ticked, await engine.millrace.runs.get(triggered.id)])
      expect(run).toMatchObject({ priority: "high", tags: ["daily", "acme"] });
    const { created, ...plain } = await schedules().create(nightly);
    expect(created).toBe(false);
    expect(plain).not.toHaveProperty("priority");
    expect(plain).not.toHaveProperty("tags");
  });

  test("again leaves it as it is", async () => {
    const every = { ...nightly, cron: undefined, timeZone: undefined, every: 3_600_000 } as unknown as ScheduleOptions;
    const { created: _, ...first } = await schedules().create(every);
    const { created, ...second } = await schedules().create(every);
    expect(created).toBe(false);
    expect(second).toEqual(first);
  });

  test("with other settings keeps its times, and what it has done", async () => {
    await schedules().create(nightly);
    const tick = Date.now() - 1_000;
    await bench.due("nightly", tick);
    await bench.tick("nightly");
    const before = await bench.get("nightly");
    const { created, ...after } = await schedules().create({ ...nightly, overlap: "allow", input: { customer: "b" } });
    expect(created).toBe(false);
    expect(after).toEqual({ ...before, overlap: "allow", input: { customer: "b" }, updatedAt: TIME });
    expect(after.lastRun).toBeDefined();
    expect(await bench.redis.zcard(bench.keys.timers())).toBe(1);
  });

  test("with other times counts from now, and drops what was due by the old ones", async () => {
    await schedules().create(nightly);
    await bench.due("nightly", Date.now() - 1_000);
    const hourly = await schedules().create({ ...nightly, cron: "0 * * * *" });
    expect(Date.parse(hourly.nextTick!)).toBeGreaterThan(Date.now());
    await bench.tick("nightly");
    expect(await bench.runs("nightly")).toEqual([]);
  });

  test("that is paused leaves it paused", async () => {
    await schedules().create(nightly);
    await schedules().pause("nightly");
    expect(await schedules().create({ ...nightly, cron: "@daily" })).toMatchObject({
      status: "paused",
      cron: "@daily",
    });
    expect(await bench.timer("nightly")).toBeUndefined();
    expect(await schedules().resume("nightly")).toMatchObject({ status: "active", nextTick: TIME });
  });

  test("that was deleted makes another, whose ticks make other runs", async () => {
    await schedules().create(nightly);
    const tick = Date.now() - 1_000;
    for (const count of [1, 2]) {
      await bench.due("nightly", tick);
      await bench.tick("nightly");
      expect(await bench.runs("nightly")).toHaveLength(count);
      await schedules().delete("nightly");
      expect(await bench.redis.zcard(bench.keys.timers())).toBe(0);
      expect(await schedules().create(nightly)).toMatchObject({ created: true });
    }
  });

  test("a hundred times at once makes one", async () => {
    const all = await Promise.all(Array.from({ length: 100 }, () => schedules().create(nightly)));
    expect(all.filter(({ created }) => created)).toHaveLength(1);
    expect(await bench.redis.zcard(bench.keys.timers())).toBe(1);
  });

  test.each([
    ["name", { name: "a b" }],
    ["name", { name: "x".repeat(65) }],
    ["tenant", { tenant: "a|b" }],
    ["cron", { cron: "0 0 30 2 *" }],
    ["timeZone", { timeZone: "Berlin" }],
    ["at", { at: "2020-01-01T00:00:00Z", cron: undefined, timeZone: undefined }],
    ["overlap", { overlap: "wait" }],
    ["missed", { missed: "some" }],
    ["jitterMs", { jitterMs: -1 }],
    ["jitterMs", { jitterMs: 3_600_001 }],
    ["metadata", { metadata: [] }],
    ["metadata", { metadata: { text: "x".repeat(8_000) } }],
    ["customer", { input: { customer: 1 } }],
    ["input", { input: { customer: "x".repeat(32_768) } }],
  ])("is refused for its %s: %#", async (path, odd) => {
    const made = schedules().create({ ...nightly, ...odd } as unknown as ScheduleOptions);
    await expect(made).rejects.toMatchObject({ code: "invalid_input", issues: [{ path: [path] }] });
    expect(await bench.redis.exists(bench.keys.schedules("default"), bench.keys.timers())).toBe(0);
  });

  test("is refused for an unknown workflow", async () => {
    await expect(schedules().create({ ...nightly, workflow: "none" })).rejects.toMatchObject({ code: "not_found" });
  });
});

test("a schedule is triggered beside its ticks, paused or not, once for a key", async () => {
  await schedules().create({ ...nightly, metadata: { team: "ops" } });
  const before = await schedules().pause("nightly");
  const idempotency = { scope: "s", key: "k", digest: "d" };
  const run = await schedules().trigger("nightly", { idempotency });
  expect((await schedules().trigger("nightly", { idempotency })).id).toBe(run.id);
  expect(await engine.millrace.runs.get(run.id)).toMatchObject({
    input: { customer: "acme" },
    metadata: { team: "ops", schedule: "nightly", triggered: TIME },
  });
  expect(await schedules().get("nightly")).toEqual(before);
});

test("schedules are listed by page, the newest first, each tenant's alone", async () => {
  for (const name of ["a", "b", "c"]) await schedules().create({ ...nightly, name });
  await schedules().create({ ...nightly, name: "a", tenant: "acme" });
  for (const [i, name] of ["a", "b", "c"].entries()) await bench.redis.zadd(bench.keys.schedules("default"), i, name);
  const first = await schedules().list({ limit: 2 });
  expect(first.data.map(({ name }) => name)).toEqual(["c", "b"]);
  const { input: _, ...summary } = await schedules().get("c");
  expect(first.data[0]).toEqual(summary);
  const { data, next } = await schedules().list({ limit: 2, cursor: first.next! });
  expect([data.map(({ name }) => name), next]).toEqual([["a"], undefined]);
  expect((await schedules().list({ tenant: "acme" })).data).toHaveLength(1);
  await expect(schedules().list({ cursor: "?" })).rejects.toMatchObject({ code: "invalid_input" });
});

test.each(["get", "pause", "resume", "delete", "trigger"] as const)("%s of what is not there", async (method) => {
  await schedules().create({ ...nightly, tenant: "acme" });
  await expect(schedules()[method]("nightly")).rejects.toMatchObject({ code: "not_found" });
});

test("the types ask for one way to say the times", () => {
  const base = { name: "n", workflow: report, input: 1 };
  const options: ScheduleOptions[] = [
    { ...base, cron: "@daily" },
    { ...base, every: 1_000, overlap: "queue", missed: "all" },
    { ...base, at: new Date() },
    // @ts-expect-error: none
    base,
    // @ts-expect-error: two
    { ...base, cron: "@daily", every: 1_000 },
    // @ts-expect-error: a zone without cron
    { ...base, every: 1_000, timeZone: "UTC" },
    // @ts-expect-error: no such policy
    { ...base, cron: "@daily", overlap: "wait" },
    // @ts-expect-error: no such policy
    { ...base, cron: "@daily", missed: "some" },
    // @ts-expect-error: no input
    { name: "n", workflow: report, cron: "@daily" },
  ];
  expect(options).toHaveLength(9);
  expectTypeOf(engine.millrace.schedules.create).returns.resolves.toEqualTypeOf<ScheduleView & { created: boolean }>();
  expectTypeOf<ScheduleView["status"]>().toEqualTypeOf<"active" | "paused" | "ended">();
});
