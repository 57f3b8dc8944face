import * as v from "valibot";
import { expect, test } from "vitest";
import { type RunEvent, workflow } from "../../engine/index.ts";
import { engineUnderTest } from "../support/engine-under-test.ts";
import { Gates } from "../support/gates.ts";
import { eventually } from "../support/gateway.ts";
import { rawRedis } from "../support/redis.ts";

const input = v.object({});

test("a paused step is not started, what comes before it is; it goes on when resumed", async () => {
  const flow = workflow("flow", { input })
    .step("first", () => 1)
    .step("second", () => 2);
  const other = workflow("other", { input }).step("only", () => 3);
  await using engine = await engineUnderTest([flow, other]);
  const { millrace } = engine;
  await millrace.pause({ workflow: "flow", step: "second" });
  await engine.worker();
  const { id } = await millrace.runs.start(flow, {});
  await engine.until(id, ({ type, step }) => type === "step.completed" && step === "first");
  expect((await engine.run(other, {})).output).toBe(3);
  expect(await millrace.queues()).toMatchObject([
    { step: "first", depth: 0, paused: false },
    { step: "second", depth: 1, inFlight: 0, paused: true },
    { step: "only", paused: false },
  ]);
  expect(await millrace.paused()).toEqual([
    { workflow: "flow", step: "second", since: expect.stringMatching(/^\d{4}-.*Z$/) },
  ]);
  expect((await millrace.runs.get(id)).steps.second).toEqual({
    status: "queued",
    attempt: 0,
    waitingFor: { reason: "paused" },
  });

  await millrace.resume({ workflow: "flow", step: "second" });
  expect((await engine.ended(id)).output).toBe(2);
  expect(await millrace.paused()).toEqual([]);
});

test("a paused workflow is not started, others are; it and its step are resumed each by itself", async () => {
  const flow = workflow("flow", { input }).step("only", () => 1);
  const other = workflow("other", { input }).step("only", () => 2);
  await using engine = await engineUnderTest([flow, other]);
  const { millrace } = engine;
  await millrace.pause({ workflow: "flow" });
  await millrace.pause({ workflow: "flow", step: "only" });
  await engine.worker({ concurrency: 1 });
  const held = await Promise.all([1, 2, 3].map(() => millrace.runs.start(flow, {}, { priority: "high" })));
  expect((await engine.run(other, {})).output).toBe(2);
  await millrace.resume({ workflow: "flow" });
  expect((await engine.run(other, {})).output).toBe(2);
  expect((await millrace.queues())[0]).toMatchObject({ workflow: "flow", depth: 3, inFlight: 0, paused: true });
  await millrace.resume({ workflow: "flow", step: "only" });
  for (const { id } of held) expect((await engine.ended(id)).steps.only).toMatchObject({ attempt: 1 });
});

test("an attempt at work is let finish, and keeps its lease", async () => {
  const gates = new Gates();
  const flow = workflow("flow", { input })
    .step("slow", (_, ctx) => gates.pass("go", ctx.signal))
    .step("next", () => "end");
  await using engine = await engineUnderTest([flow], { partitions: 1 });
  const { millrace } = engine;
  await engine.worker({ leaseMs: 300 });
  await engine.worker({ leaseMs: 300 });
  const { id } = await millrace.runs.start(flow, {});
  await engine.until(id, ({ type }) => type === "step.started");
  await millrace.pause({ workflow: "flow" });
  const key = `{${engine.namespace}:0}:beats`;
  const redis = rawRedis();
  const beats = async () => Number(await redis.hget(key, "last"));
  const from = await beats();
  await eventually(beats, (last) => last > from + 900);
  gates.open("go");
  await engine.until(id, ({ type, step }) => type === "step.completed" && step === "slow");
  expect((await millrace.queues())[1]).toMatchObject({ step: "next", depth: 1 });
  await millrace.resume({ workflow: "flow" });
  expect((await engine.ended(id)).steps.slow).toMatchObject({ status: "completed", attempt: 1 });
});

test("what was delivered to a worker that had not begun it is given back, uncharged", async () => {
  const flow = workflow("flow", { input }).step("only", (_, ctx) => ctx.attempt);
  await using engine = await engineUnderTest([flow], { partitions: 1 });
  const { millrace } = engine;
  await millrace.pause({ workflow: "flow" });
  const { id } = await millrace.runs.start(flow, {});
  const worker = await engine.worker({ leaseMs: 200 });
  const stream = `{${engine.namespace}:0}:step:flow@1:only`;
  // As if a read that was under way when the pause was heard had brought it.
  await rawRedis().call("XREADGROUP", "GROUP", "workers", worker.id, "STREAMS", stream, ">");
  expect((await millrace.queues())[0]).toMatchObject({ depth: 0, inFlight: 1 });
  await eventually(millrace.queues, ([queue]) => queue!.depth === 1 && queue!.inFlight === 0);
  await millrace.resume({ workflow: "flow" });
  expect((await engine.ended(id)).output).toBe(1);
});

test("what a worker that died had in hand is taken over after the resume", async () => {
  const flow = workflow("flow", { input }).step("only", (_, ctx) => ctx.attempt);
  const other = workflow("other", { input }).step("only", () => 1);
  await using engine = await engineUnderTest([flow, other], { partitions: 1 });
  const { millrace } = engine;
  const runs = await Promise.all([flow, other].map((each) => millrace.runs.start(each, {})));
  const redis = rawRedis();
  for (const name of ["flow", "other"]) {
    const stream = `{${engine.namespace}:0}:step:${name}@1:only`;
    await redis.call("XREADGROUP", "GROUP", "workers", "dead", "STREAMS", stream, ">");
  }
  await millrace.pause({ workflow: "flow" });
  await engine.worker({ leaseMs: 100 });
  expect((await engine.ended(runs[1]!.id)).status).toBe("completed");
  expect((await millrace.queues())[0]).toMatchObject({ depth: 0, inFlight: 1 });
  await millrace.resume({ workflow: "flow" });
  expect((await engine.ended(runs[0]!.id)).output).toBe(2);
});

test("a worker hears of a pause while it waits for work; and finds out about a resume that it did not hear of", async () => {
  const flow = workflow("flow", { input }).step("only", () => 1);
  const other = workflow("other", { input }).step("only", () => 2);
  await using engine = await engineUnderTest([flow, other], { partitions: 1 });
  const { millrace } = engine;
  await engine.worker();
  await engine.run(flow, {});
  await millrace.pause({ workflow: "flow" });
  // What was on its way to the worker when it heard is run.
  const left = async () => {
    const { id } = await millrace.runs.start(flow, {});
    await engine.run(other, {});
    return { id, status: (await millrace.runs.get(id)).status };
  };
  const { id } = await eventually(left, ({ status }) => status === "queued");
  const redis = rawRedis();
  await redis.hdel(`{${engine.namespace}:0}:paused`, "workflow:flow");
  expect((await engine.ended(id)).status).toBe("completed");
});

test("what does not exist cannot be paused", async () => {
  const flow = workflow("flow", { input }).step("only", () => 1);
  await using engine = await engineUnderTest([flow], { partitions: 1 });
  const { millrace } = engine;
  for (const call of [millrace.pause, millrace.resume]) {
    await expect(call({ workflow: "none" })).rejects.toMatchObject({ code: "not_found" });
    await expect(call({ workflow: "flow", step: "none" })).rejects.toMatchObject({ code: "not_found" });
    await expect(call({ tenant: "a:b" })).rejects.toMatchObject({ code: "invalid_input" });
  }
  // @ts-expect-error One or the other.
  await expect(millrace.pause({ workflow: "flow", tenant: "a" })).rejects.toMatchObject({ code: "invalid_input" });
  // @ts-expect-error A step is one of a workflow.
  await expect(millrace.pause({ step: "only" })).rejects.toMatchObject({ code: "not_found" });
  await rawRedis().set(`{${engine.namespace}:0}:paused`, "not ours");
  await expect(millrace.pause({ workflow: "flow" })).rejects.toMatchObject({ code: "wrong_type" });
});

test("a paused tenant's steps are parked, uncharged, and go on when it is resumed; other tenants' are run", async () => {
  const flow = workflow("flow", { input: v.object({ n: v.number() }) })
    .step("first", ({ n }) => n)
    .step("second", (n) => n * 2);
  await using engine = await engineUnderTest([flow], { partitions: 1 });
  const { millrace } = engine;
  await millrace.pause({ tenant: "acme" });
  await engine.worker({ concurrency: 8 });
  const start = (n: number) => millrace.runs.start(flow, { n }, { tenant: "acme" });
  // More than one call of any script moves.
  const runs = await Promise.all(Array.from({ length: 250 }, (_, n) => start(n)));
  expect((await engine.run(flow, { n: 4 })).output).toBe(8);
  const view = (id: string) => millrace.runs.get(id, { tenant: "acme" });
  for (const { id } of runs)
    await eventually(
      () => view(id),
      ({ steps }) => steps.first?.status === "waiting",
    );
  expect(await view(runs[7]!.id)).toMatchObject({
    status: "waiting",
    steps: { first: { status: "waiting", attempt: 0, waitingFor: { reason: "tenant_paused" } } },
  });
  expect((await millrace.queues())[0]).toMatchObject({ depth: 0, inFlight: 0, delayed: 250, paused: false });

  const cancelled = runs.pop()!;
  await millrace.runs.cancel(cancelled.id, { tenant: "acme" });
  expect(await view(cancelled.id)).toMatchObject({ status: "cancelled", steps: { first: { status: "cancelled" } } });
  await millrace.resume({ tenant: "acme" });
  for (const [n, { id }] of runs.entries()) {
    const events: RunEvent[] = [];
    for await (const event of millrace.watch(id, { tenant: "acme" })) events.push(event as RunEvent);
    expect(events.map(({ type }) => type).slice(0, 4)).toEqual([
      "run.queued",
      "run.waiting",
      "run.started",
      "step.started",
    ]);
    expect(events[1]).toMatchObject({ step: "first", data: { reason: "tenant_paused" } });
    expect(await view(id)).toMatchObject({ status: "completed", output: n * 2, steps: { first: { attempt: 1 } } });
  }
  const redis = rawRedis();
  expect(await redis.exists(`{${engine.namespace}:0}:parked:acme`)).toBe(0);
  expect((await view(cancelled.id)).status).toBe("cancelled");
  expect((await millrace.queues()).map(({ delayed, depth }) => [delayed, depth])).toEqual([
    [0, 0],
    [0, 0],
  ]);
});
