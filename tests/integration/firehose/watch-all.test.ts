import { any } from "valibot";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FatalError, SlowWatcherError, type StreamMessage, workflow } from "../../../engine/index.ts";
import { type EngineUnderTest, engineUnderTest } from "../../support/engine-under-test.ts";
import { Random } from "../../support/faults/random.ts";
import { newSeed } from "../../support/faults/settings.ts";
import { Follower } from "../../support/follower.ts";
import { Gates } from "../../support/gates.ts";
import { rawRedis } from "../../support/redis.ts";
import { connectionsNamed } from "../../support/redis-client.ts";
import { keysOf } from "../../support/run-keys.ts";

const input = any();
let gates: Gates;
/** Emits as often as it is told, a text of so many characters each. */
const talk = workflow("talk", { input })
  .step("talk", async ({ count, size = 10, gate }: { count: number; size?: number; gate?: string }, ctx) => {
    for (let n = 1; n <= count; n += 1) {
      ctx.emit({ n, text: "x".repeat(size) });
      if (n % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    if (gate !== undefined) await gates.pass(gate, ctx.signal);
  })
  .step("end", () => null);
let broken = true;
/** Fails for good, until it is mended. */
const fragile = workflow("fragile", { input }).step("try", async ({ gate }: { gate: string }, ctx) => {
  if (broken) throw new FatalError("broken");
  ctx.emit("mended");
  await gates.pass(gate, ctx.signal);
});
const other = workflow("other", { input }).step("only", () => null);

let bench: EngineUnderTest;
const following: { follower: Follower; done: Promise<void> }[] = [];

const start = async (count: number, gate?: string, options = {}) =>
  (await bench.millrace.runs.start(talk, { count, ...(gate === undefined ? {} : { gate }) }, options)).id;

/** A follower that has begun. */
async function follow(options: ConstructorParameters<typeof Follower>[1] = {}): Promise<Follower> {
  const follower = new Follower(bench.millrace, options);
  following.push({ follower, done: follower.follow() });
  await follower.until("it has begun", () => follower.cursors > 0);
  return follower;
}

async function leave(): Promise<void> {
  for (const { follower } of following) follower.cut();
  await Promise.all(following.splice(0).map(({ done }) => done));
}

describe.each([1, 16])("with %i partitions", (partitions) => {
  beforeEach(async () => {
    gates = new Gates();
    broken = true;
    bench = await engineUnderTest([talk, other, fragile], { partitions });
    await bench.worker();
  });
  afterEach(async () => {
    await leave();
    await bench[Symbol.asyncDispose]();
  });

  test("a watcher of all is told of every run, those that go on and those that start", async () => {
    const early = await start(5, "early");
    await bench.until(early, (event) => event.type === "step.output");
    const follower = await follow({ snapshot: true });
    expect(follower.resets).toEqual([
      { type: "reset", runs: [expect.objectContaining({ id: early, status: "running" })], more: false },
    ]);
    const runs = await Promise.all(Array.from({ length: 50 }, (_, n) => start(n)));
    gates.open("early");
    await follower.until("all have ended", () => follower.ended.size === 51);
    expect(await follower.incomplete([early, ...runs])).toEqual([]);
    expect(follower.repeated).toBe(0);
  });

  test("is told of the workflows and tags that it wants, and of its tenant alone", async () => {
    const ofTalk = await follow({ workflows: ["talk"] });
    const tagged = await follow({ tags: ["red", "blue"] });
    const ofTenant = await follow({ tenant: "acme" });
    const all = await follow({ workflows: ["talk", "other"] });
    const plain = await start(3);
    const red = await start(3, undefined, { tags: ["red"] });
    const acme = await start(3, undefined, { tenant: "acme" });
    const short = (await bench.millrace.runs.start(other, null)).id;
    await all.until("all have ended", () => all.ended.size === 3);
    await ofTenant.until("its run has ended", () => ofTenant.ended.size === 1);
    await ofTalk.until("both have ended", () => ofTalk.ended.size === 2);
    await tagged.until("it has ended", () => tagged.ended.size === 1);
    expect([...ofTalk.told.keys()].sort()).toEqual([plain, red].sort());
    expect([...tagged.told.keys()]).toEqual([red]);
    expect([...ofTenant.told.keys()]).toEqual([acme]);
    expect([...all.workflows].sort()).toEqual(
      [
        [plain, "talk"],
        [red, "talk"],
        [short, "other"],
      ].sort(),
    );
  });

  test("comes back with its cursor fifty times, and misses nothing", async () => {
    const random = new Random(newSeed());
    const follower = await follow();
    const runs: string[] = [];
    for (let cut = 0; cut < 50; cut += 1) {
      for (let n = random.whole(0, 3); n > 0; n -= 1) runs.push(await start(random.whole(0, 30)));
      const seen = follower.events + random.whole(0, 20);
      await Promise.race([
        follower.until("some more", () => follower.events >= seen),
        new Promise((resolve) => setTimeout(resolve, random.whole(1, 50))),
      ]);
      await leave();
      for (let n = random.whole(0, 2); n > 0; n -= 1) {
        const id = await start(random.whole(0, 5));
        runs.push(id);
        // One that begins and ends while nobody watches.
        if (random.next() < 0.5) await bench.ended(id);
      }
      following.push({ follower, done: follower.follow() });
    }
    await follower.until("all have ended", () => follower.ended.size === runs.length);
    expect(await follower.incomplete(runs)).toEqual([]);
    expect(follower.resets).toEqual([]);
  });

  test("is told of what a run that had ended does after it is replayed while nobody watched", async () => {
    const run = (await bench.millrace.runs.start(fragile, { gate: "mended" })).id;
    const failedAt = (await bench.ended(run)).seq;
    const follower = await follow();
    await leave();
    broken = false;
    const [letter] = (await bench.millrace.deadLetters.list()).data;
    await bench.millrace.deadLetters.replay(letter!.id);
    const { seq } = await bench.until(run, (event) => event.type === "step.output");
    // What came before was never told to this one.
    follower.told.set(run, failedAt);
    following.push({ follower, done: follower.follow() });
    await follower.until("it goes on", () => (follower.told.get(run) ?? 0) >= seq);
    gates.open("mended");
    await follower.until("it has ended", () => follower.ended.has(run));
    expect(await follower.incomplete([run])).toEqual([]);
  });
});

describe("a watcher of all", () => {
  beforeEach(async () => {
    gates = new Gates();
    bench = await engineUnderTest([talk, other]);
    await bench.worker();
  });
  afterEach(async () => {
    await leave();
    await bench[Symbol.asyncDispose]();
  });

  test("shares one pattern with the others, which goes with the last of them", async () => {
    const redis = rawRedis();
    const patterns = async () => {
      const found = await connectionsNamed(redis, new RegExp(`^millrace:${bench.namespace}:subscriber$`));
      return found.map(({ line }) => / psub=(\d+)/.exec(line)?.[1]);
    };
    for (let n = 0; n < 3; n += 1) await follow();
    expect(await patterns()).toEqual(["1"]);
    await leave();
    await expect.poll(patterns).toEqual(["0"]);
  });

  test("that takes nothing for too long ends with its cursor, and misses nothing by it; others go on", async () => {
    const slow = bench.millrace.watchAll();
    const first = (await slow.next()).value as StreamMessage;
    expect(first.type).toBe("cursor");
    const quick = await follow();
    // Each tells of its text in a message of its own: what is larger is told by its number.
    const begin = async () => (await bench.millrace.runs.start(talk, { count: 1, size: 7_300 })).id;
    const runs = await Promise.all(Array.from({ length: 600 }, begin));
    await quick.until("all have ended", () => quick.ended.size === 600);
    const taken = async () => {
      for await (const message of slow) void message;
    };
    const error = await taken().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(SlowWatcherError);
    const again = new Follower(bench.millrace, { after: (error as SlowWatcherError).cursor });
    following.push({ follower: again, done: again.follow() });
    await again.until("all have ended", () => again.ended.size === 600);
    expect(await again.incomplete(runs)).toEqual([]);
  });

  test("is told to begin a run anew whose log no longer reaches back", async () => {
    const follower = await follow();
    await leave();
    const run = await start(20, "later");
    await bench.until(run, (event) => (event.data as { n?: number })?.n === 20);
    const redis = rawRedis();
    await redis.ltrim(keysOf(bench, run).log(run), 5, -1);
    await redis.hset(keysOf(bench, run).run(run), "trimmed", 5);
    following.push({ follower, done: follower.follow() });
    await follower.until("it is reset", () => follower.resets.length > 0);
    expect(follower.resets).toEqual([
      expect.objectContaining({ type: "reset", run, workflow: "talk", snapshot: expect.objectContaining({ id: run }) }),
    ]);
    gates.open("later");
    await follower.until("it has ended", () => follower.ended.has(run));
    expect(await follower.incomplete([run])).toEqual([]);
  });

  test("begins anew with a cursor of a time to come", async () => {
    const run = await start(1, "later");
    await bench.until(run, (event) => event.type === "step.output");
    const later = (Date.now() + 3_600_000).toString(36);
    const follower = await follow({ after: `${later}.` });
    expect(follower.resets).toEqual([{ type: "reset", runs: [expect.objectContaining({ id: run })], more: false }]);
    gates.open("later");
    await follower.until("it has ended", () => follower.ended.has(run));
  });

  test.each(["x", "1-a", "1.2", "1.2.3", "zzzzzzzzzz.", "1.run~1", `1.${"0".repeat(32)}-0`, `1.${"a".repeat(20_000)}`])(
    "refuses %j as a cursor",
    async (after) => {
      await expect(bench.millrace.watchAll({ after }).next()).rejects.toMatchObject({ code: "invalid_input" });
    },
  );
});
