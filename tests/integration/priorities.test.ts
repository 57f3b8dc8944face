import * as v from "valibot";
import { expect, test } from "vitest";
import { FatalError, type Priority, workflow } from "../../engine/index.ts";
import { engineUnderTest } from "../support/engine-under-test.ts";
import { rawRedis } from "../support/redis.ts";

const input = v.object({});

/** Runs of every priority that wait for one slot, and the order in which their first steps ran. */
async function orderOf(counts: Record<Priority, number>): Promise<string[]> {
  const order: string[] = [];
  const byRun = new Map<string, Priority>();
  const flow = workflow("flow", { input })
    .step("first", (_, ctx) => {
      order.push(byRun.get(ctx.run.id)!);
    })
    .step("last", () => null);
  await using engine = await engineUnderTest([flow], { partitions: 1 });
  for (const priority of ["low", "normal", "high"] as const)
    for (let i = 0; i < counts[priority]; i += 1)
      byRun.set((await engine.millrace.runs.start(flow, {}, { priority })).id, priority);
  expect((await engine.millrace.queues())[0]).toMatchObject({ depth: byRun.size, lanes: counts });
  await engine.worker({ concurrency: 1, steps: (_, step) => step === "first" });
  await engine.worker({ concurrency: 1, steps: (_, step) => step === "last" });
  for (const id of byRun.keys()) expect((await engine.ended(id)).status).toBe("completed");
  return order;
}

test("with one slot and much of each, ten turns are six high, three normal and one low", async () => {
  const order = await orderOf({ high: 40, normal: 40, low: 40 });
  for (let from = 0; from < 50; from += 10) {
    const turns = order.slice(from, from + 10);
    const of = (priority: string) => turns.filter((each) => each === priority).length;
    expect([of("high"), of("normal"), of("low")], turns.join()).toEqual([6, 3, 1]);
  }
  expect(order).toHaveLength(120);
});

test("a lane that has nothing leaves its turns to the others", async () => {
  const order = await orderOf({ high: 30, normal: 0, low: 30 });
  const low = order.slice(0, 28).filter((each) => each === "low").length;
  expect(low).toBeGreaterThanOrEqual(2);
  expect(low).toBeLessThanOrEqual(8);
});

test("a worker that reads already hears of a lane that comes into use, and every step of the run is in it", async () => {
  const seen: string[] = [];
  const flow = workflow("flow", { input })
    .step("fails", {
      retry: { baseMs: 0, maxMs: 0 },
      run: (_, ctx) => {
        if (ctx.attempt === 1) throw new Error("once");
        return null;
      },
    })
    .step("dies", (_, ctx) => {
      seen.push(ctx.fence);
      if (seen.length === 1) throw new FatalError("never");
      return null;
    })
    .step("ends", () => "end");
  await using engine = await engineUnderTest([flow], { partitions: 1 });
  const { millrace } = engine;
  await engine.worker({ concurrency: 2 });
  const { id } = await millrace.runs.start(flow, {}, { priority: "low" });
  expect(await engine.ended(id)).toMatchObject({ status: "failed", priority: "low" });
  const [letter] = (await millrace.deadLetters.list()).data;
  await millrace.deadLetters.replay(letter!.id);
  expect(await engine.ended(id)).toMatchObject({ status: "completed", output: "end" });
  expect((await millrace.runs.list()).data[0]).toMatchObject({ id, priority: "low" });
  const redis = rawRedis();
  const added = async (step: string) => {
    const [, , ...info] = (await redis.xinfo("STREAM", `{${engine.namespace}:0}:step:flow@1:${step}`)) as unknown[];
    return info[info.indexOf("last-generated-id") + 1];
  };
  for (const step of ["fails", "dies", "ends"]) {
    expect(await added(step)).toBe("0-0");
    expect(await added(`${step}:low`)).not.toBe("0-0");
  }
});

test("what a dead worker had in hand of a lane is taken over, and the limit of a step is over all lanes", async () => {
  let most = 0;
  let now = 0;
  const redis = rawRedis();
  const flow = workflow("flow", { input }).step("only", {
    concurrency: 2,
    run: async () => {
      most = Math.max(most, ++now);
      for (let i = 0; i < 10; i++) await redis.ping();
      now -= 1;
    },
  });
  await using engine = await engineUnderTest([flow], { partitions: 1 });
  const ids: string[] = [];
  for (const priority of ["high", "normal", "low"] as const)
    for (let i = 0; i < 30; i += 1) ids.push((await engine.millrace.runs.start(flow, {}, { priority })).id);
  const stream = `{${engine.namespace}:0}:step:flow@1:only:high`;
  await redis.call("XREADGROUP", "GROUP", "workers", "dead", "COUNT", "20", "STREAMS", stream, ">");
  await engine.worker({ concurrency: 8, leaseMs: 100 });
  for (const id of ids) expect((await engine.ended(id)).status).toBe("completed");
  expect(most).toBe(2);
});

test("a namespace without priorities has no lanes", async () => {
  const flow = workflow("flow", { input }).step("only", () => 1);
  await using engine = await engineUnderTest([flow], { partitions: 1 });
  await engine.worker();
  const { id } = await engine.millrace.runs.start(flow, {}, { priority: "normal" });
  expect(await engine.ended(id)).not.toHaveProperty("priority");
  expect((await engine.millrace.queues())[0]).not.toHaveProperty("lanes");
  expect(await rawRedis().exists(`{${engine.namespace}:0}:lanes`)).toBe(0);
});

test("another priority is refused", async () => {
  const flow = workflow("flow", { input }).step("only", () => 1);
  await using engine = await engineUnderTest([flow]);
  // @ts-expect-error There are three.
  const started = engine.millrace.runs.start(flow, {}, { priority: "urgent" });
  await expect(started).rejects.toMatchObject({ code: "invalid_input", issues: [{ path: ["priority"] }] });
});
