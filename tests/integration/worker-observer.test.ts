import { any } from "valibot";
import { afterEach, expect, test } from "vitest";
import { type WorkerObserver, workflow } from "../../engine/index.ts";
import { type EngineUnderTest, engineUnderTest } from "../support/engine-under-test.ts";
import { Gates } from "../support/gates.ts";
import { rawRedis } from "../support/redis.ts";
import { keysOf } from "../support/run-keys.ts";

let bench: EngineUnderTest;
afterEach(() => bench[Symbol.asyncDispose]());

const gates = new Gates();
const STEP = { workflow: "flow", version: 1, step: "s" };
const flow = workflow("flow", { input: any() }).step("s", {
  retry: { attempts: 2, baseMs: 1 },
  run: async (name: string, ctx) => {
    if (name === "bad") throw new Error("bad");
    return name === "good" ? name : gates.pass(name, ctx.signal);
  },
});

/** Hands the one pending entry of the step to somebody who is not there. */
async function giveAway(run: string, idleMs: number): Promise<void> {
  const redis = rawRedis();
  const stream = keysOf(bench, run).step(STEP, "s");
  const [pending] = (await redis.xpending(stream, "workers", "-", "+", 1)) as [string][];
  await redis.xclaim(stream, "workers", "another", 0, pending![0], "IDLE", idleMs);
}

test("an observer of a worker is told of attempts, of ends that were refused and of what is taken over", async () => {
  bench = await engineUnderTest([flow]);
  const told: unknown[] = [];
  const observer: WorkerObserver = {
    attempted: (step, outcome, seconds) => told.push([outcome, step, seconds >= 0]),
    refused: (step) => told.push(["refused", step]),
    reclaimed: (step, count) => told.push(["reclaimed", step, count]),
  };
  await bench.worker({ observer });
  await bench.run(flow, "good");
  await bench.run(flow, "bad");
  expect(told).toEqual([
    ["completed", STEP, true],
    ["retrying", STEP, true],
    ["failed", STEP, true],
  ]);

  told.length = 0;
  const late = await bench.millrace.runs.start(flow, "late");
  await bench.until(late.id, (event) => event.type === "step.started");
  await giveAway(late.id, 0);
  gates.open("late");
  await expect.poll(() => told).toContainEqual(["refused", STEP]);

  // Its lease is long over.
  const left = await bench.millrace.runs.start(flow, "left");
  await bench.until(left.id, (event) => event.type === "step.started");
  await giveAway(left.id, 3_600_000);
  await expect.poll(() => told, { timeout: 10_000 }).toContainEqual(["reclaimed", STEP, 1]);
  gates.open("left");
  await bench.events(left.id);
});

test("what an observer throws fails nothing", async () => {
  bench = await engineUnderTest([flow]);
  let asked = 0;
  const attempted = () => {
    asked += 1;
    throw new Error("the observer is broken");
  };
  await bench.worker({ observer: { attempted } });
  expect(await bench.run(flow, "good")).toMatchObject({ status: "completed" });
  expect(asked).toBe(1);
});
