import * as v from "valibot";
import { expect, test } from "vitest";
import { workflow } from "../../engine/index.ts";
import { engineUnderTest } from "../support/engine-under-test.ts";
import { Gates } from "../support/gates.ts";
import { rawRedis } from "../support/redis.ts";
import { connectionsNamed } from "../support/redis-client.ts";

test("an entry whose delivery never arrived is run by the worker that it is pending for, as its first attempt", async () => {
  const gates = new Gates();
  const held = workflow("held", { input: v.object({}) }).step("wait", (_, ctx) => gates.pass(ctx.run.id, ctx.signal));
  await using engine = await engineUnderTest([held], { partitions: 1 });
  const worker = await engine.worker({ concurrency: 1, leaseMs: 1_000 });
  const start = () => engine.millrace.runs.start(held, {});
  const first = await start();
  for await (const event of engine.millrace.watch(first.id)) if (event.type === "step.started") break;
  // The worker has no slot and does not read. Another read in its name, whose reply it never sees:
  const second = await start();
  const group = ["GROUP", "workers", worker.id, "STREAMS", `{${engine.namespace}:0}:step:held@1:wait`, ">"];
  expect(await rawRedis().call("XREADGROUP", ...group)).not.toBeNull();
  gates.open(second.id);
  gates.open(first.id);
  expect((await engine.ended(second.id)).steps.wait).toMatchObject({ status: "completed", attempt: 1 });
  expect((await engine.ended(first.id)).steps.wait).toMatchObject({ status: "completed", attempt: 1 });
});

test("an entry that was delivered to a connection that broke is taken up by the next one, before anything new", async () => {
  const gates = new Gates();
  const ran: string[] = [];
  const held = workflow("held", { input: v.object({}) }).step("wait", (_, ctx) => {
    ran.push(ctx.run.id);
    return gates.pass(ctx.run.id, ctx.signal);
  });
  await using engine = await engineUnderTest([held], { partitions: 1 });
  // So long a lease that nothing is looked for by the clock.
  const worker = await engine.worker({ concurrency: 1, leaseMs: 600_000 });
  const start = async () => (await engine.millrace.runs.start(held, {})).id;
  const first = await start();
  for await (const event of engine.millrace.watch(first)) if (event.type === "step.started") break;
  const second = await start();
  const group = ["GROUP", "workers", worker.id, "STREAMS", `{${engine.namespace}:0}:step:held@1:wait`, ">"];
  const redis = rawRedis();
  expect(await redis.call("XREADGROUP", ...group)).not.toBeNull();
  const third = await start();
  const [reader] = await connectionsNamed(redis, new RegExp(`^millrace:${engine.namespace}:reader$`));
  expect(await reader!.kill()).toBe(1);
  for (const run of [first, second, third]) gates.open(run);
  expect((await engine.ended(third)).status).toBe("completed");
  expect(ran).toEqual([first, second, third]);
  expect((await engine.millrace.runs.get(second)).steps.wait).toMatchObject({ status: "completed", attempt: 1 });
});
