import { describe, expect, test } from "vitest";
import { connect, createWorker, FatalError, workflow } from "../../engine/index.ts";
import { engineUnderTest } from "../support/engine-under-test.ts";
import { Handlers, input, start, waits } from "../support/limited.ts";
import { isCluster, redisUrl } from "../support/redis.ts";

describe("what ends gives its slot up", () => {
  const one = (run: Handlers["run"], retry = {}) =>
    workflow("one", { input }).step("work", { limits: { concurrency: 1 }, retry, run });

  test("a run that is cancelled, at work or waiting", async () => {
    const handlers = new Handlers();
    const definition = one(handlers.run);
    await using engine = await engineUnderTest([definition], { partitions: 1 });
    await engine.worker();
    const runs: string[] = [];
    for (let n = 0; n < 4; n += 1) {
      runs.push(await start(engine, "one", "a", n));
      if (n > 0) await waits(engine, runs[n]!);
      else await handlers.begin(1);
    }
    await engine.millrace.runs.cancel(runs[1]!);
    expect((await engine.millrace.queues())[0]).toMatchObject({ limited: 2 });
    await engine.millrace.runs.cancel(runs[0]!);
    expect((await handlers.begin(2))[1]).toBe("a2");
    handlers.gates.open("a2");
    handlers.gates.open("a3");
    expect(await engine.ended(runs[3]!)).toMatchObject({ status: "completed", output: 3 });
    expect(handlers.begun).toEqual(["a0", "a2", "a3"]);
  });

  test("a failed attempt, which is tried again before those that never were; and one that has failed for good", async () => {
    const handlers = new Handlers();
    const definition = one(
      async (given, ctx) => {
        await handlers.run(given, ctx);
        if (given.n === 9) throw new FatalError("never");
        if (given.n === 0 && handlers.begun.length === 1) throw new Error("not yet");
        return given.n;
      },
      { baseMs: 0, maxMs: 0 },
    );
    await using engine = await engineUnderTest([definition], { partitions: 1 });
    await engine.worker();
    const first = await start(engine, "one", "a", 0);
    await handlers.begin(1);
    const runs: string[] = [];
    for (const n of [9, 1, 2]) {
      runs.push(await start(engine, "one", "a", n));
      await waits(engine, runs.at(-1)!);
    }
    handlers.gates.open("a0");
    expect((await handlers.begin(2))[1]).toBe("a9");
    await waits(engine, first);
    for (const n of [9, 1, 2]) handlers.gates.open(`a${n}`);
    expect(await engine.ended(first)).toMatchObject({ status: "completed", steps: { work: { attempt: 2 } } });
    expect(await engine.ended(runs[0]!)).toMatchObject({ status: "failed" });
    for (const run of runs.slice(1)) expect(await engine.ended(run)).toMatchObject({ status: "completed" });
    expect(handlers.begun).toEqual(["a0", "a9", "a0", "a1", "a2"]);
  });

  test("but not one that a worker gives back: another goes on with it", async () => {
    const handlers = new Handlers();
    const definition = one(handlers.run);
    await using engine = await engineUnderTest([definition], { partitions: 1 });
    const leaving = await engine.worker({ drainMs: 0 });
    const first = await start(engine, "one", "a", 0);
    await handlers.begin(1);
    const second = await start(engine, "one", "a", 1);
    await waits(engine, second);
    await leaving.stop();
    expect((await engine.millrace.queues())[0]).toMatchObject({ depth: 1, inFlight: 0, limited: 1 });
    // Whoever looks for what is lost finds it where it is.
    await (await engine.worker()).reconcile();
    await handlers.begin(2);
    handlers.gates.open("a0");
    handlers.gates.open("a1");
    expect(await engine.ended(first)).toMatchObject({ status: "completed", steps: { work: { attempt: 1 } } });
    expect(await engine.ended(second)).toMatchObject({ status: "completed" });
    expect(handlers.begun).toEqual(["a0", "a0", "a1"]);
  });
});

test("a worker that starts with other limits sets them for all that waits", async () => {
  const handlers = new Handlers();
  const of = (concurrency: number) =>
    workflow("tuned", { input }).step("work", { limits: { concurrency }, run: handlers.run });
  await using engine = await engineUnderTest([of(1)], { partitions: 1 });
  await engine.worker();
  const runs: string[] = [];
  for (let n = 0; n < 3; n += 1) {
    runs.push(await start(engine, "tuned", "a", n));
    if (n > 0) await waits(engine, runs[n]!);
    else await handlers.begin(1);
  }
  const millrace = await connect({ url: redisUrl, namespace: engine.namespace, workflows: [of(3)] });
  const worker = createWorker(millrace);
  await worker.start();
  await handlers.begin(3);
  for (let n = 0; n < 3; n += 1) handlers.gates.open(`a${n}`);
  for (const run of runs) expect(await engine.ended(run)).toMatchObject({ status: "completed" });
  await worker.stop();
  await millrace.close();
});

test("one key with 20,000 runs does not hold up another's one", async () => {
  const handlers = new Handlers();
  const fair = workflow("fair", { input }).step("work", {
    limits: { key: ({ user }) => user, concurrency: 2, total: { concurrency: 3 } },
    run: handlers.run,
  });
  await using engine = await engineUnderTest([fair], { partitions: 1 });
  await engine.worker({ concurrency: 2 });
  await engine.worker({ concurrency: 2 });
  // A cluster whose slots move refuses some of so many at once, to be asked again.
  const noisy = isCluster ? 2_000 : 20_000;
  for (let n = 0; n < noisy; n += 500)
    await Promise.all(Array.from({ length: 500 }, (_, i) => start(engine, "fair", "noisy", n + i)));
  const quiet = await start(engine, "fair", "quiet", 0);
  handlers.gates.open("quiet0");
  await handlers.begin(3);
  expect(await engine.ended(quiet)).toMatchObject({ status: "completed" });
  // None of the others had to end for that.
  expect(handlers.begun.filter((each) => each.startsWith("noisy"))).toHaveLength(2);
}, 120_000);
