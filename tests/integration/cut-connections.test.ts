import { any } from "valibot";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type RunEvent, workflow } from "../../engine/index.ts";
import { type PrivateRedis, startPrivateRedis } from "../../engine/redis/private/index.ts";
import { type EngineUnderTest, engineUnderTest } from "../support/engine-under-test.ts";
import { Gates } from "../support/gates.ts";
import { rawRedis } from "../support/redis.ts";
import { temporaryDir } from "../support/run.ts";

// A server of its own: every connection to it is cut, and other files' tests have theirs on the suite's.
let server: PrivateRedis;
let gates: Gates;
let bench: EngineUnderTest;
/** Emits 1 to `count`, waiting at a gate of each. */
const counting = workflow("counting", { input: any() }).step("count", async (count: number, ctx) => {
  for (let n = 1; n <= count; n += 1) {
    ctx.emit({ n });
    await gates.pass(String(n), ctx.signal);
  }
});

beforeAll(async () => {
  server = await startPrivateRedis({ dir: await temporaryDir(), appendOnly: false });
});
afterAll(() => server.stop());
beforeEach(async () => {
  gates = new Gates();
  bench = await engineUnderTest([counting], { url: server.url });
  await bench.worker();
});
afterEach(() => bench[Symbol.asyncDispose]());

const emitted = (events: RunEvent[]) =>
  events.flatMap((event) => (event.type === "step.output" ? [(event.data as { n: number }).n] : []));

describe("a watcher", () => {
  test("misses nothing while its subscription is cut again and again", async () => {
    const { id } = await bench.millrace.runs.start(counting, 20);
    const redis = rawRedis(server.url);
    const watching = bench.events(id);
    for (let n = 1; n <= 20; n += 1) {
      await redis.call("CLIENT", "KILL", "TYPE", "pubsub");
      gates.open(String(n));
    }
    expect(emitted(await watching)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
  });

  test("misses nothing while every connection is cut, the worker's too", async () => {
    const { id } = await bench.millrace.runs.start(counting, 4);
    const redis = rawRedis(server.url);
    await redis.ping();
    const watching = bench.events(id);
    for (let n = 1; n <= 4; n += 1) {
      await bench.until(id, (event) => emitted([event])[0] === n);
      for (const type of ["normal", "pubsub"]) await redis.call("CLIENT", "KILL", "TYPE", type, "SKIPME", "yes");
      gates.open(String(n));
    }
    const events = await watching;
    expect(emitted(events)).toEqual([1, 2, 3, 4]);
    expect(events.filter((event) => event.type === "step.started")).toHaveLength(1);
  });
});

test("a run says that it is on disk where every write is before the reply", async () => {
  const redis = rawRedis(server.url);
  await redis.config("SET", "appendonly", "yes", "appendfsync", "always");
  const safe = await engineUnderTest([counting], { url: server.url });
  expect(await safe.millrace.runs.start(counting, 0)).toMatchObject({ durability: "disk" });
  await safe[Symbol.asyncDispose]();
});
