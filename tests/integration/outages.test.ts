import * as v from "valibot";
import { expect, test, vi } from "vitest";
import { workflow } from "../../engine/index.ts";
import { engineUnderTest } from "../support/engine-under-test.ts";
import { Gates } from "../support/gates.ts";
import { rawRedis } from "../support/redis.ts";
import { KEEPS_ALL_WHEN_KILLED, restartableRedis } from "../support/restartable-redis.ts";

test("a Redis that stands still for several leases takes no step from the worker that runs it", async () => {
  const gates = new Gates();
  const attempts: number[] = [];
  const slow = workflow("slow", { input: v.object({}) }).step("wait", async (_, ctx) => {
    attempts.push(ctx.attempt);
    await gates.pass("go", ctx.signal);
  });
  await using redis = await restartableRedis({ args: KEEPS_ALL_WHEN_KILLED });
  await using engine = await engineUnderTest([slow], { url: redis.url });
  const first = await engine.worker({ leaseMs: 500 });
  const runs = await Promise.all([1, 2, 3, 4].map(() => engine.millrace.runs.start(slow, {})));
  await vi.waitFor(() => expect(attempts).toHaveLength(4), { timeout: 5_000 });
  // Others that look for leases that have run out: what they ask while Redis stands still reaches it afterwards.
  await engine.worker({ leaseMs: 500 });
  const last = await engine.worker({ leaseMs: 500 });
  await vi.waitFor(async () => expect((await engine.millrace.queues())[0]).toMatchObject({ workers: 3 }));
  redis.signal("SIGSTOP");
  try {
    await vi.waitFor(() => expect(Math.min(first.silentMs, last.silentMs)).toBeGreaterThan(3_000), { timeout: 10_000 });
  } finally {
    redis.signal("SIGCONT");
  }
  await vi.waitFor(() => expect(Math.max(first.silentMs, last.silentMs)).toBeLessThan(1_000), { timeout: 10_000 });
  gates.open("go");
  for (const { id } of runs) expect((await engine.ended(id)).status).toBe("completed");
  expect(attempts).toEqual([1, 1, 1, 1]);
});

test("what a handler came to while Redis was away longer than a lease is stored when it is back", async () => {
  const gates = new Gates();
  const attempts: number[] = [];
  const said = workflow("said", { input: v.object({}) }).step("say", async (_, ctx) => {
    attempts.push(ctx.attempt);
    await gates.pass("go", ctx.signal);
    ctx.emit({ said: "during the outage" });
    return "kept";
  });
  await using redis = await restartableRedis({ args: KEEPS_ALL_WHEN_KILLED });
  await using engine = await engineUnderTest([said], { url: redis.url });
  const worker = await engine.worker({ leaseMs: 300 });
  const { id } = await engine.millrace.runs.start(said, {});
  await vi.waitFor(() => expect(attempts).toEqual([1]), { timeout: 5_000 });
  await redis.kill();
  gates.open("go");
  // Longer than the deadline of a call, too: the first try of the commit has failed.
  await vi.waitFor(() => expect(worker.silentMs).toBeGreaterThan(7_000), { timeout: 15_000 });
  await redis.start();
  expect(await engine.ended(id)).toMatchObject({ status: "completed", output: "kept" });
  expect((await engine.events(id)).filter((event) => event.type === "step.output")).toHaveLength(1);
  expect(attempts).toEqual([1]);
});

test("a worker whose connection for reading was cut while nothing was under way on it stops at once", async () => {
  const gates = new Gates();
  const held = workflow("held", { input: v.object({}) }).step("wait", (_, ctx) => gates.pass("go", ctx.signal));
  await using redis = await restartableRedis({ args: KEEPS_ALL_WHEN_KILLED });
  await using engine = await engineUnderTest([held], { url: redis.url });
  const worker = await engine.worker({ concurrency: 1 });
  const { id } = await engine.millrace.runs.start(held, {});
  for await (const event of engine.millrace.watch(id)) if (event.type === "step.started") break;
  const raw = rawRedis(redis.url);
  const reader = () => raw.client("LIST").then((list) => String(list).match(/id=(\d+) .* name=\S+:reader .*cmd=(\S+)/));
  const [, connection] = (await reader())!;
  await raw.client("KILL", "ID", connection!);
  gates.open("go");
  await engine.events(id);
  await vi.waitFor(async () => {
    const [, other, command] = (await reader()) ?? [];
    expect([command, other === connection]).toEqual(["xreadgroup", false]);
  });
  const from = performance.now();
  await worker.stop();
  expect(performance.now() - from).toBeLessThan(1_000);
});
