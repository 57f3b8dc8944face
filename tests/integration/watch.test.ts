import { any } from "valibot";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type RunEvent, type WatchMessage, workflow } from "../../engine/index.ts";
import { type EngineUnderTest, engineUnderTest } from "../support/engine-under-test.ts";
import { Gates } from "../support/gates.ts";
import { rawRedis } from "../support/redis.ts";
import { channelsLike, connectionsNamed } from "../support/redis-client.ts";
import { keysOf } from "../support/run-keys.ts";

let gates: Gates;
let bench: EngineUnderTest;
const input = any();
/** Emits 1 to `count`, waiting at a gate of each that is named. */
const counting = workflow("counting", { input }).step(
  "count",
  async (given: { count: number; stops: number[] }, ctx) => {
    for (let n = 1; n <= given.count; n += 1) {
      ctx.emit({ n });
      if (given.stops.includes(n)) await gates.pass(String(n), ctx.signal);
    }
  },
);

beforeEach(async () => {
  gates = new Gates();
  bench = await engineUnderTest([counting]);
  await bench.worker();
});
afterEach(() => bench[Symbol.asyncDispose]());

const start = async (count: number, ...stops: number[]) =>
  (await bench.millrace.runs.start(counting, { count, stops })).id;
const emitted = (events: WatchMessage[]) =>
  events.flatMap((event) => (event.type === "step.output" ? [(event.data as { n: number }).n] : []));

/** What a watcher sees from `after` on, to the run's end or the first message that `until` is true of. */
async function seen(run: string, after?: string, until?: (message: WatchMessage) => boolean): Promise<WatchMessage[]> {
  const messages: WatchMessage[] = [];
  const signal = AbortSignal.timeout(20_000);
  for await (const message of bench.millrace.watch(run, after === undefined ? { signal } : { after, signal })) {
    messages.push(message);
    if (until?.(message)) break;
  }
  return messages;
}

describe("a watcher", () => {
  test("sees every event once and in order, whether it comes early, in the middle or after the end", async () => {
    const run = await start(20, 10);
    const early = seen(run);
    await bench.until(run, (event) => event.type === "step.output" && emitted([event])[0] === 10);
    const middle = seen(run);
    gates.open("10");
    const all = await early;
    expect(all.map((event) => event.seq)).toEqual(all.map((_, i) => i + 1));
    expect(emitted(all)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
    expect(await middle).toEqual(all);
    expect(await seen(run)).toEqual(all);
  });

  test("that was cut goes on after its last cursor, or number", async () => {
    const run = await start(6, 3);
    const isThird = (message: WatchMessage) => message.type === "step.output" && emitted([message])[0] === 3;
    const before = (await seen(run, undefined, isThird)) as RunEvent[];
    const { cursor, seq } = before[before.length - 1]!;
    const after = seen(run, cursor);
    gates.open("3");
    expect(emitted([...before, ...(await after)])).toEqual([1, 2, 3, 4, 5, 6]);
    expect(emitted(await seen(run, String(seq)))).toEqual([4, 5, 6]);
  });

  test("of a commit that is too large for a nudge reads the log", async () => {
    const run = await start(2_000);
    expect(emitted(await seen(run))).toEqual(Array.from({ length: 2_000 }, (_, i) => i + 1));
  });

  test("that leaves, or is aborted, leaves nothing behind", async () => {
    const run = await start(1, 1);
    const redis = rawRedis();
    const channels = () => channelsLike(redis, `${keysOf(bench, run).run("")}*`);
    await seen(run, undefined, (message) => message.type === "step.output");
    const controller = new AbortController();
    const aborted = (async () => {
      for await (const _ of bench.millrace.watch(run, { signal: controller.signal }));
    })();
    const watching = seen(run);
    await bench.until(run, (event) => event.type === "step.output");
    controller.abort();
    await aborted;
    expect(await channels()).toEqual([keysOf(bench, run).runChannel(run)]);
    gates.open("1");
    await watching;
    await expect.poll(channels).toEqual([]);
  });
});

test("thirty watchers of thirty runs share one connection", async () => {
  const redis = rawRedis();
  const runs = await Promise.all(Array.from({ length: 30 }, () => start(1, 1)));
  const watching = runs.map((run) => seen(run));
  for (const run of runs) await bench.until(run, (event) => event.type === "step.output");
  const subscribers = new RegExp(`^millrace:${bench.namespace}:subscriber$`);
  expect(await connectionsNamed(redis, subscribers)).toHaveLength(1);
  gates.open("1");
  for (const events of await Promise.all(watching)) expect(events[events.length - 1]?.type).toBe("run.completed");
});

describe("a reset, with a snapshot, and then what follows", () => {
  const expectReset = async (run: string, after: string) => {
    const [reset, ...rest] = await seen(run, after, (message) => {
      if (message.type === "reset") gates.open("2");
      return false;
    });
    expect(reset).toMatchObject({ type: "reset", run, snapshot: { id: run, status: "running" } });
    expect(rest.map((event) => event.seq)).toEqual(rest.map((_, i) => reset!.seq + i + 1));
    expect(rest[rest.length - 1]?.type).toBe("run.completed");
  };
  const atTwo = async () => {
    const run = await start(3, 2);
    const event = await bench.until(run, (each) => emitted([each])[0] === 2);
    return { run, event };
  };

  test("comes to a cursor of another log", async () => {
    const { run, event } = await atTwo();
    await expectReset(run, `${event.seq}-abc`);
  });

  test("comes to a number past the end", async () => {
    const { run } = await atTwo();
    await expectReset(run, "100");
  });

  test("comes to one that was away while the log was trimmed", async () => {
    const { run } = await atTwo();
    const redis = rawRedis();
    await redis.ltrim(keysOf(bench, run).log(run), 3, -1);
    await redis.hset(keysOf(bench, run).run(run), "trimmed", 3);
    await expectReset(run, "1");
  });
});

test.each([
  ["an unknown run", "0".repeat(32).concat("-0"), undefined, "not_found"],
  ["an id that is none", "../x", undefined, "not_found"],
])("watching %s is refused", async (_, run, after, code) => {
  await expect(seen(run, after)).rejects.toMatchObject({ code });
});

test("watching from a cursor that is none, or as another tenant, is refused", async () => {
  const run = await start(1);
  await expect(seen(run, "x")).rejects.toMatchObject({ code: "invalid_input" });
  await expect(bench.millrace.watch(run, { tenant: "other" }).next()).rejects.toMatchObject({ code: "not_found" });
});
