import * as v from "valibot";
import { describe, expect, test } from "vitest";
import { FatalError, type RunEvent, workflow } from "../../engine/index.ts";
import { type EngineUnderTest, engineUnderTest } from "../support/engine-under-test.ts";
import { Handlers, input, start, waits } from "../support/limited.ts";

describe("at once", () => {
  test("no more of a step are at work than its limit; the end of one starts the next, in the order in which they came", async () => {
    const handlers = new Handlers();
    const few = workflow("few", { input }).step("work", { limits: { concurrency: 2 }, run: handlers.run });
    await using engine = await engineUnderTest([few], { partitions: 1 });
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
    await using engine = await engineUnderTest([keyed], { partitions: 1 });
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

/** When each began, in ms, in order. */
async function startTimes(engine: EngineUnderTest, runs: readonly string[]): Promise<number[]> {
  const views = await Promise.all(runs.map((run) => engine.ended(run)));
  expect(views.map(({ status }) => status)).toEqual(runs.map(() => "completed"));
  return views.map(({ steps }) => Date.parse(steps.work!.startedAt!)).sort((a, b) => a - b);
}

describe("over time", () => {
  test("no more start in any window than the rate; who waits starts by itself", async () => {
    const windowMs = 400;
    const paced = workflow("paced", { input }).step("work", {
      limits: { rate: { count: 3, windowMs } },
      run: ({ n }) => n,
    });
    await using engine = await engineUnderTest([paced], { partitions: 1 });
    await engine.worker();
    const runs = await Promise.all(Array.from({ length: 8 }, (_, n) => start(engine, "paced", "a", n)));
    const times = await startTimes(engine, runs);
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
    await using engine = await engineUnderTest([spending], { partitions: 1 });
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
    await using engine = await engineUnderTest([shapes], { partitions: 1 });
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
    await using engine = await engineUnderTest([graph], { partitions: 1 });
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
    await using engine = await engineUnderTest([odd], { partitions: 1 });
    await engine.worker();
    expect(await engine.run(odd, { user: "a", n: 0 })).toMatchObject({
      status: "failed",
      error: { code: "bad_limit_key" },
    });
  });
});

describe("beside priorities and pauses", () => {
  const definition = (handlers: Handlers) =>
    workflow("one", { input })
      .step("work", { limits: { concurrency: 1 }, run: handlers.run })
      .step("after", (n) => n);

  test("of those that wait for a limit the higher lane is first", async () => {
    const handlers = new Handlers();
    const one = definition(handlers);
    await using engine = await engineUnderTest([one], { partitions: 1 });
    await engine.worker();
    const first = await start(engine, "one", "a", 0);
    await handlers.begin(1);
    const runs = [first];
    for (const [i, priority] of (["low", "normal", "high"] as const).entries()) {
      const { id } = await engine.millrace.runs.start(one, { user: "a", n: i + 1 }, { priority });
      await waits(engine, id);
      runs.push(id);
    }
    for (let n = 0; n < 4; n += 1) handlers.gates.open(`a${n}`);
    for (const run of runs) expect(await engine.ended(run)).toMatchObject({ status: "completed" });
    expect(handlers.begun).toEqual(["a0", "a3", "a2", "a1"]);
  });

  test("what has its slot only when its tenant is paused gives it up, and passes the gate again when that is over", async () => {
    const handlers = new Handlers();
    const one = definition(handlers);
    const probe = workflow("probe", { input }).step("only", () => 0);
    await using engine = await engineUnderTest([one, probe], { partitions: 1 });
    await engine.worker();
    const first = await start(engine, "one", "a", 0);
    await handlers.begin(1);
    const second = await start(engine, "one", "a", 1);
    await waits(engine, second);
    await engine.millrace.pause({ tenant: "default" });
    // The worker has heard of it once it parks.
    for (let status = ""; status !== "waiting"; ) {
      const id = await start(engine, "probe", "a", 0);
      await engine.until(id, ({ type }) => type === "run.waiting" || type === "run.completed");
      status = (await engine.millrace.runs.get(id)).status;
    }
    handlers.gates.open("a0");
    const isParked = ({ type, data }: RunEvent) =>
      type === "run.waiting" && (data as { reason?: string } | undefined)?.reason === "tenant_paused";
    await engine.until(second, isParked);
    const other = (await engine.millrace.runs.start(one, { user: "b", n: 2 }, { tenant: "other" })).id;
    await handlers.begin(2);
    expect(handlers.begun).toEqual(["a0", "b2"]);
    handlers.gates.open("b2");
    handlers.gates.open("a1");
    await engine.millrace.resume({ tenant: "default" });
    expect(await engine.ended(first)).toMatchObject({ status: "completed" });
    expect(await engine.ended(second)).toMatchObject({ status: "completed", steps: { work: { attempt: 1 } } });
    expect(await engine.millrace.runs.get(other, { tenant: "other" })).toMatchObject({
      steps: { work: { attempt: 1 } },
    });
  });
});

test("a step with limits is undone without passing the gate again", async () => {
  const undone: unknown[] = [];
  const booked = workflow("booked", { input })
    .step("work", { limits: { concurrency: 1 }, run: ({ n }) => n, undo: (_, ctx) => void undone.push(ctx.step) })
    .step("fail", () => {
      throw new FatalError("no");
    });
  await using engine = await engineUnderTest([booked], { partitions: 1 });
  await engine.worker();
  expect(await engine.run(booked, { user: "a", n: 0 })).toMatchObject({ status: "failed" });
  expect(undone).toEqual(["work"]);
  expect(await engine.run(booked, { user: "a", n: 1 })).toMatchObject({ status: "failed" });
});
