import * as v from "valibot";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { workflow } from "../../engine/index.ts";
import { type PrivateRedis, startPrivateRedis } from "../../engine/redis/private/index.ts";
import { engineUnderTest } from "../support/engine-under-test.ts";
import { Gates } from "../support/gates.ts";
import { ROOT, temporaryDir } from "../support/run.ts";

let redis: PrivateRedis;
beforeEach(async () => {
  redis = await startPrivateRedis({ dir: await temporaryDir(), home: `${ROOT}.millrace` });
});
afterEach(() => redis.stop());

test("a Redis that stands still for several leases takes no step from the worker that runs it", async () => {
  const gates = new Gates();
  const attempts: number[] = [];
  const slow = workflow("slow", { input: v.object({}) }).step("wait", async (_, ctx) => {
    attempts.push(ctx.attempt);
    await gates.pass("go", ctx.signal);
  });
  await using engine = await engineUnderTest([slow], { url: redis.url });
  const first = await engine.worker({ leaseMs: 500 });
  const runs = await Promise.all([1, 2, 3, 4].map(() => engine.millrace.runs.start(slow, {})));
  await vi.waitFor(() => expect(attempts).toHaveLength(4), { timeout: 5_000 });
  // Others that look for leases that have run out: what they ask while Redis stands still reaches it afterwards.
  await engine.worker({ leaseMs: 500 });
  const last = await engine.worker({ leaseMs: 500 });
  await vi.waitFor(async () => expect((await engine.millrace.queues())[0]).toMatchObject({ workers: 3 }));
  process.kill(redis.pid, "SIGSTOP");
  try {
    await vi.waitFor(() => expect(Math.min(first.silentMs, last.silentMs)).toBeGreaterThan(3_000), { timeout: 10_000 });
  } finally {
    process.kill(redis.pid, "SIGCONT");
  }
  await vi.waitFor(() => expect(Math.max(first.silentMs, last.silentMs)).toBeLessThan(1_000), { timeout: 10_000 });
  gates.open("go");
  for (const { id } of runs) expect((await engine.ended(id)).status).toBe("completed");
  expect(attempts).toEqual([1, 1, 1, 1]);
});
