import * as v from "valibot";
import { describe, expect, test } from "vitest";
import { connect, createWorker, FatalError, type RunView, workflow } from "../../engine/index.ts";
import { type EngineUnderTest, engineUnderTest } from "../support/engine-under-test.ts";
import { Gates } from "../support/gates.ts";
import { redisUrl } from "../support/redis.ts";

const input = v.object({ user: v.string(), n: v.number() });
type Input = v.InferOutput<typeof input>;

/** A handler that says who is at work, and goes on when the test lets it. */
class Handlers {
  readonly gates = new Gates();
  readonly begun: string[] = [];
  most = 0;
  #atWork = 0;
  readonly #listeners = new Set<() => void>();

  readonly run = async ({ user, n }: Input, ctx: { signal: AbortSignal }): Promise<number> => {
    this.begun.push(`${user}${n}`);
    this.#atWork += 1;
    this.most = Math.max(this.most, this.#atWork);
    for (const listener of this.#listeners) listener();
    try {
      await this.gates.pass(`${user}${n}`, ctx.signal);
    } finally {
      this.#atWork -= 1;
    }
    return n;
  };

  /** Resolves when that many have begun. */
  async begin(count: number): Promise<string[]> {
    while (this.begun.length < count) {
      const more = Promise.withResolvers<void>();
      this.#listeners.add(more.resolve);
      await more.promise;
      this.#listeners.delete(more.resolve);
    }
    return this.begun;
  }
}

async function start(engine: EngineUnderTest, name: string, user: string, n: number): Promise<string> {
  return (await engine.millrace.runs.start(name, { user, n })).id;
}

async function waits(engine: EngineUnderTest, id: string): Promise<RunView> {
  await engine.until(id, ({ type }) => type === "run.waiting");
  return engine.millrace.runs.get(id);
}

describe("at once", () => {
  test("no more of a step are at work than its limit; the end of one starts the next, in the order in which they came", async () => {
    const handlers = new Handlers();
    const few = workflow("few", { input }).step("work", { limits: { concurrency: 2 }, run: handlers.run });
    await using engine = await engineUnderTest([few]);
    await engine.worker();
    const runs: string[] = [];
    for (let n = 0; n < 5; n += 1) {
      runs.push(await start(engine, "few", "a", n));
      if (n >= 2) await waits(engine, runs[n]!);
      else await handlers.begin(n + 1);
    }
    expect(await engine.millrace.runs.get(runs[4]!)).toMatchObject({
      status: "waiting",
      steps: { work: { status: "waiting", waitingFor: { reason: "limit" } } },
    });
    expect((await engine.millrace.queues())[0]).toMatchObject({ depth: 0, inFlight: 2, limited: 3 });
    handlers.gates.open("a1");
    expect((await handlers.begin(3))[2]).toBe("a2");
    for (let n = 0; n < 5; n += 1) handlers.gates.open(`a${n}`);
    for (const [n, run] of runs.entries()) expect(await engine.ended(run)).toMatchObject({ output: n });
    expect(handlers.begun).toEqual(["a0", "a1", "a2", "a3", "a4"]);
    expect(handlers.most).toBe(2);
    const types = (await engine.events(runs[4]!)).map(({ type }) => type);
    expect(types).toEqual([
      "run.queued",
      "run.waiting",
      "run.started",
      "step.started",
      "step.completed",
      "run.completed",
    ]);
    expect((await engine.millrace.queues())[0]).toMatchObject({ depth: 0, inFlight: 0, limited: 0 });
  });

  test("each key has its own, and those that wait for a limit over all take turns", async () => {
    const handlers = new Handlers();
    const keyed = workflow("keyed", { input }).step("work", {
      limits: { key: ({ user }) => user, concurrency: 2, total: { concurrency: 3 } },
      run: handlers.run,
    });
    await using engine = await engineUnderTest([keyed]);
    await engine.worker();
    const runs: string[] = [];
    const next = async (user: string, n: number) => runs.push(await start(engine, "keyed", user, n));
    for (let n = 0; n < 2; n += 1) await next("a", n);
    await handlers.begin(2);
    for (let n = 2; n < 5; n += 1) await next("a", n);
    expect((await waits(engine, runs[4]!)).steps.work!.waitingFor).toEqual({ reason: "limit", key: "a" });
    await next("b", 0);
    expect((await handlers.begin(3))[2]).toBe("b0");
    await next("b", 1);
    await waits(engine, runs[6]!);
    await next("c", 0);
    await waits(engine, runs[7]!);
    for (const user of ["a", "b", "c"]) for (let n = 0; n < 5; n += 1) handlers.gates.open(`${user}${n}`);
    for (const run of runs) expect(await engine.ended(run)).toMatchObject({ status: "completed" });
    expect(handlers.most).toBe(3);
    const later = handlers.begun.slice(3);
    expect(later.indexOf("c0")).toBeLessThan(later.indexOf("a4"));
    expect(later.indexOf("b1")).toBeLessThan(later.indexOf("a4"));
  });
});

/** When each entry got its slot, in ms: the stream of those is still there, so its ids are asked for as they come. */
async function slotTimes(engine: EngineUnderTest, workflowName: string, runs: readonly string[]): Promise<number[]> {
  const views = await Promise.all(runs.map((run) => engine.ended(run)));
  expect(views.map(({ status }) => status)).toEqual(runs.map(() => "completed"));
  expect(views[0]!.workflow).toBe(workflowName);
  return views.map(({ steps }) => Date.parse(steps.work!.startedAt!)).sort((a, b) => a - b);
}

describe("over time", () => {
  test("no more start in any window than the rate; who waits starts by itself", async () => {
    const windowMs = 400;
    const paced = workflow("paced", { input }).step("work", {
      limits: { rate: { count: 3, windowMs } },
      run: ({ n }) => n,
    });
    await using engine = await engineUnderTest([paced]);
    await engine.worker();
    const runs = await Promise.all(Array.from({ length: 8 }, (_, n) => start(engine, "paced", "a", n)));
    const times = await slotTimes(engine, "paced", runs);
    // A start is told a little after its slot was given, never before.
    expect(times[6]! - times[0]!).toBeGreaterThanOrEqual(windowMs);
    expect(await engine.millrace.queues()).toMatchObject([{ limited: 0, depth: 0 }]);
  });

  test("what was spent holds up the next of the key until it has come back", async () => {
    const spending = workflow("spending", { input }).step("work", {
      limits: { key: ({ user }) => user, tokens: { perMinute: 60_000 } },
      run: ({ n }, ctx) => {
        ctx.spend(n);
        return n;
      },
    });
    await using engine = await engineUnderTest([spending]);
    await engine.worker();
    const first = await engine.ended(await start(engine, "spending", "a", 60_400));
    const second = await start(engine, "spending", "a", 1);
    const other = await start(engine, "spending", "b", 1);
    expect(await engine.ended(other)).toMatchObject({ status: "completed" });
    const { steps } = await engine.ended(second);
    expect((await engine.events(second)).map(({ type }) => type)).toContain("run.waiting");
    // A token comes back in a millisecond: 400 of them, and one to start with.
    const waited = Date.parse(steps.work!.startedAt!) - Date.parse(first.steps.work!.endedAt!);
    expect(waited).toBeGreaterThanOrEqual(400);
  });
});

describe("what ends gives its slot up", () => {
  const one = (run: Handlers["run"], retry = {}) =>
    workflow("one", { input }).step("work", { limits: { concurrency: 1 }, retry, run });

  test("a run that is cancelled, at work or waiting", async () => {
    const handlers = new Handlers();
    const definition = one(handlers.run);
    await using engine = await engineUnderTest([definition]);
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
    await using engine = await engineUnderTest([definition]);
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
    await using engine = await engineUnderTest([definition]);
    const leaving = await engine.worker({ drainMs: 0 });
    const first = await start(engine, "one", "a", 0);
    await handlers.begin(1);
    const second = await start(engine, "one", "a", 1);
    await waits(engine, second);
    await leaving.stop();
    expect((await engine.millrace.queues())[0]).toMatchObject({ depth: 1, inFlight: 0, limited: 1 });
    await engine.worker();
    await handlers.begin(2);
    handlers.gates.open("a0");
    handlers.gates.open("a1");
    expect(await engine.ended(first)).toMatchObject({ status: "completed", steps: { work: { attempt: 1 } } });
    expect(await engine.ended(second)).toMatchObject({ status: "completed" });
    expect(handlers.begun).toEqual(["a0", "a0", "a1"]);
  });
});

describe("steps of every shape", () => {
  test("each item of a map, and each turn of a loop, passes the gate by itself", async () => {
    let atWork = 0;
    let most = 0;
    const slowly = async <T>(value: T) => {
      atWork += 1;
      most = Math.max(most, atWork);
      await new Promise((resolve) => setImmediate(resolve));
      atWork -= 1;
      return value;
    };
    const shapes = workflow("shapes", { input: v.array(v.object({ user: v.string(), n: v.number() })) })
      .map("each", {
        over: (list) => list,
        limit: 50,
        limits: { key: ({ user }) => user, concurrency: 2, total: { concurrency: 3 } },
        run: ({ n }) => slowly(n),
      })
      .repeat("sum", {
        limits: { concurrency: 1 },
        until: (list) => list.length === 1,
        max: 200,
        run: ([a = 0, b = 0, ...rest]) => slowly([a + b, ...rest]),
      });
    await using engine = await engineUnderTest([shapes]);
    await engine.worker();
    const list = Array.from({ length: 120 }, (_, n) => ({ user: "abc"[n % 3]!, n }));
    expect(await engine.run(shapes, list)).toMatchObject({ status: "completed", output: [7140] });
    expect(most).toBeLessThanOrEqual(3);
  });

  test("a step that is not taken passes no gate, and one beside it goes on while it waits", async () => {
    const handlers = new Handlers();
    const graph = workflow("graph", { input })
      .step("work", { limits: { concurrency: 1 }, when: ({ n }) => n > 0, run: handlers.run })
      .step("beside", { after: [], run: ({ n }) => n })
      .step("join", { after: ["work", "beside"], run: (both) => both });
    await using engine = await engineUnderTest([graph]);
    await engine.worker();
    expect(await engine.run(graph, { user: "a", n: 0 })).toMatchObject({ output: { beside: 0 } });
    const first = await start(engine, "graph", "a", 1);
    await handlers.begin(1);
    const second = await start(engine, "graph", "a", 2);
    expect((await waits(engine, second)).steps).toMatchObject({
      work: { status: "waiting" },
      beside: { status: "completed" },
    });
    handlers.gates.open("a1");
    handlers.gates.open("a2");
    expect(await engine.ended(first)).toMatchObject({ output: { work: 1, beside: 1 } });
    expect(await engine.ended(second)).toMatchObject({ output: { work: 2, beside: 2 } });
  });

  test("a key that is none fails the run", async () => {
    const odd = workflow("odd", { input }).step("work", {
      limits: { key: () => 7 as unknown as string, concurrency: 1 },
      run: () => 0,
    });
    await using engine = await engineUnderTest([odd]);
    await engine.worker();
    expect(await engine.run(odd, { user: "a", n: 0 })).toMatchObject({
      status: "failed",
      error: { code: "bad_limit_key" },
    });
  });
});

test("a worker that starts with other limits sets them for all that waits", async () => {
  const handlers = new Handlers();
  const of = (concurrency: number) =>
    workflow("tuned", { input }).step("work", { limits: { concurrency }, run: handlers.run });
  await using engine = await engineUnderTest([of(1)]);
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
  await using engine = await engineUnderTest([fair]);
  await engine.worker({ concurrency: 2 });
  await engine.worker({ concurrency: 2 });
  const noisy = 20_000;
  for (let n = 0; n < noisy; n += 500)
    await Promise.all(Array.from({ length: 500 }, (_, i) => start(engine, "fair", "noisy", n + i)));
  const quiet = await start(engine, "fair", "quiet", 0);
  handlers.gates.open("quiet0");
  expect(await engine.ended(quiet)).toMatchObject({ status: "completed" });
  // None of the others had to end for that.
  expect(handlers.begun.filter((each) => each.startsWith("noisy"))).toHaveLength(2);
}, 60_000);
