import * as v from "valibot";
import { expect, test } from "vitest";
import { createWorker, workflow } from "../../engine/index.ts";
import { engineUnderTest } from "../support/engine-under-test.ts";
import { Gates } from "../support/gates.ts";
import { rawRedis } from "../support/redis.ts";

test("a worker whose steps are all at their own limits waits for them, and does nothing else meanwhile", async () => {
  const gates = new Gates();
  let most = 0;
  let now = 0;
  const limited = workflow("limited", { input: v.object({}) }).step("one", {
    concurrency: 1,
    run: async (_, ctx) => {
      most = Math.max(most, ++now);
      await gates.pass("go", ctx.signal);
      now -= 1;
    },
  });
  await using engine = await engineUnderTest([limited]);
  const worker = await engine.worker({ concurrency: 8 });
  const runs = [await engine.millrace.runs.start(limited, {})];
  // Events and timers of this process must go on while the only slot is taken.
  for await (const event of engine.millrace.watch(runs[0]!.id)) if (event.type === "step.started") break;
  for (let i = 0; i < 2; i += 1) runs.push(await engine.millrace.runs.start(limited, {}));
  gates.open("go");
  for (const { id } of runs) expect((await engine.ended(id)).status).toBe("completed");
  expect(most).toBe(1);
  expect(worker.silentMs).toBeLessThan(5_000);
});

test("entries that are read and entries that are taken over at once do not run beyond a step's limit", async () => {
  const redis = rawRedis();
  let most = 0;
  let now = 0;
  const limited = workflow("limited", { input: v.object({}) }).step("one", {
    concurrency: 1,
    run: async () => {
      most = Math.max(most, ++now);
      // Long enough for what the other of the two asked for to arrive.
      for (let i = 0; i < 10; i++) await redis.ping();
      now -= 1;
    },
  });
  await using engine = await engineUnderTest([limited], { partitions: 1 });
  const start = () => engine.millrace.runs.start(limited, {});
  const runs = await Promise.all(Array.from({ length: 200 }, start));
  const stream = `{${engine.namespace}:0}:step:limited@1:one`;
  // A worker that died with half of them.
  await redis.call("XREADGROUP", "GROUP", "workers", "dead", "COUNT", "100", "STREAMS", stream, ">");
  await engine.worker({ concurrency: 4, leaseMs: 100 });
  for (const { id } of runs) expect((await engine.ended(id)).status).toBe("completed");
  expect(most).toBe(1);
});

test("a worker that is stopped while it starts does not start, and one that was stopped stays so", async () => {
  const idle = workflow("idle", { input: v.object({}) }).step("one", () => 1);
  await using engine = await engineUnderTest([idle], { partitions: 1 });
  const worker = createWorker(engine.millrace);
  const starting = worker.start();
  await worker.stop();
  await starting;
  await worker.start();
  const { id } = await engine.millrace.runs.start(idle, {});
  expect(await rawRedis().exists(`{${engine.namespace}:0}:workers`)).toBe(0);
  // Another serves what it would have taken.
  await engine.worker();
  expect((await engine.ended(id)).status).toBe("completed");
  expect((await engine.millrace.queues())[0]).toMatchObject({ workers: 1 });
});
