import { any } from "valibot";
import { beforeEach, describe, expect, test } from "vitest";
import { FatalError, type StepContext, workflow } from "../../engine/index.ts";
import { engineUnderTest } from "../support/engine-under-test.ts";
import { rawRedis } from "../support/redis.ts";

const input = any();
const retry = { attempts: 2, baseMs: 0, maxMs: 0 };

describe("what handlers say that they used", () => {
  const flow = workflow("flow", { input })
    .step("ask", {
      retry,
      run: (_: unknown, ctx) => {
        for (let i = 0; i < 10; i += 1) ctx.usage({ tokens: 1, cost: 0.1, key: "ann" });
        if (ctx.attempt === 1) throw new Error("not yet");
        return [1, 2, 3];
      },
    })
    .map("each", { over: (list) => list, run: (n, ctx) => ctx.usage({ tokens: n }) })
    .step("silent", () => "done");

  test("is summed for step, run, key and tenant, failed attempts included, and does not drift", async () => {
    await using engine = await engineUnderTest([flow]);
    await engine.worker();
    const run = await engine.run(flow, 1);
    expect(run).toMatchObject({ status: "completed", usage: { tokens: 26, cost: 2 } });
    expect(run.steps.ask!.usage).toEqual({ tokens: 20, cost: 2 });
    expect(run.steps.each!.usage).toEqual({ tokens: 6, cost: 0 });
    expect(run.steps.silent).not.toHaveProperty("usage");
    expect((await engine.millrace.runs.list()).data[0]).toMatchObject({ id: run.id, usage: { tokens: 26, cost: 2 } });
    await engine.run(flow, 2);

    const { millrace } = engine;
    const day = new Date(Number((await rawRedis().time())[0]) * 1_000).toISOString().slice(0, 10);
    const days = [{ day: expect.any(String), workflow: "flow", tokens: 52, cost: 4 }];
    expect(await millrace.usage()).toEqual({ tokens: 52, cost: 4, days });
    expect(await millrace.usage({ key: "ann", workflow: "flow" })).toMatchObject({ tokens: 40, cost: 4 });
    const nothing = { tokens: 0, cost: 0, days: [] };
    expect(await millrace.usage({ key: "bob" })).toEqual(nothing);
    expect(await millrace.usage({ workflow: "other" })).toEqual(nothing);
    expect(await millrace.usage({ tenant: "other" })).toEqual(nothing);
    expect(await millrace.usage({ to: "2001-01-01" })).toEqual(nothing);
    expect(await millrace.usage({ from: "2001-01-01", to: `${Number(day.slice(0, 4)) + 1}-01-01` })).toEqual({
      ...{ tokens: 52, cost: 4 },
      days,
    });
    for (const bad of [{ from: "today" }, { to: "2026-02-31T00:00" }, { to: "2026-99-99" }])
      await expect(millrace.usage(bad)).rejects.toMatchObject({ code: "invalid_input" });
  });

  test("costs a run that uses nothing no field", async () => {
    const plain = workflow("plain", { input }).step("a", () => 1);
    await using engine = await engineUnderTest([plain]);
    await engine.worker();
    const run = await engine.run(plain, 1);
    expect(run).not.toHaveProperty("usage");
    expect(run).not.toHaveProperty("budget");
  });

  test("counts for the step that they undo, whatever the budget says", async () => {
    const flow = workflow("undone", { input, budget: { tokens: 10 } })
      .step("a", {
        run: (_: unknown, ctx) => ctx.usage({ tokens: 4, key: "ann" }),
        undo: (_, ctx) => {
          ctx.usage({ tokens: 20, cost: 0.5, key: "ann" });
          if (ctx.attempt === 1) throw new Error("not yet");
        },
        undoRetry: retry,
      })
      .step("b", () => {
        throw new FatalError("no");
      });
    await using engine = await engineUnderTest([flow]);
    await engine.worker();
    const used = { tokens: 44, cost: 1 };
    const run = await engine.run(flow, 1);
    expect(run).toMatchObject({
      status: "failed",
      error: { message: "no" },
      usage: used,
      steps: { a: { usage: used } },
    });
    expect(await engine.millrace.usage({ key: "ann" })).toMatchObject(used);
    expect(await engine.millrace.usage()).toMatchObject(used);
  });

  test("is refused where it is none, and the step fails for good", async () => {
    const odd = workflow("odd", { input }).step("a", { retry, run: (_: unknown, ctx) => ctx.usage({ tokens: -1 }) });
    await using engine = await engineUnderTest([odd]);
    await engine.worker();
    expect(await engine.run(odd, 1)).toMatchObject({ error: { code: "bad_usage" }, steps: { a: { attempt: 1 } } });
  });
});

describe("a budget", () => {
  const spending = (budget?: { tokens?: number; cost?: number }) =>
    workflow("spending", { input, ...(budget === undefined ? {} : { budget }) })
      .step("first", (_: unknown, ctx) => ctx.usage({ tokens: 60 }))
      .step("second", (_: unknown, ctx) => ctx.usage({ tokens: 60 }))
      .step("third", () => "done");

  test("that is used up fails the run at the step that exceeds it", async () => {
    const flow = spending({ tokens: 100 });
    await using engine = await engineUnderTest([flow]);
    await engine.worker();
    const run = await engine.run(flow, 1);
    const message = "The run has used 120 tokens; its budget is 100.";
    expect(run).toMatchObject({
      ...{ status: "failed", budget: { tokens: 100 }, usage: { tokens: 120 } },
      error: { name: "BudgetExceededError", code: "budget_exceeded", message },
      steps: { first: { status: "completed" }, second: { status: "failed" }, third: { status: "pending" } },
    });
    const events = await engine.events(run.id);
    expect(events.slice(-2)).toMatchObject([
      { type: "step.failed", step: "second", attempt: 1, data: { error: { code: "budget_exceeded" } } },
      { type: "run.failed", data: { step: "second", error: { message } } },
    ]);
    const [letter] = (await engine.millrace.deadLetters.list()).data;
    expect(letter).toMatchObject({ run: run.id, step: "second", error: { code: "budget_exceeded" } });
    // It has its whole budget again.
    await engine.millrace.deadLetters.replay(letter!.id);
    await engine.events(run.id, run.seq);
    expect(await engine.millrace.runs.get(run.id)).toMatchObject({ status: "completed", usage: { tokens: 180 } });
  });

  test("is whole again for a run that is run again", async () => {
    const flow = spending({ tokens: 100 });
    await using engine = await engineUnderTest([flow]);
    await engine.worker();
    const { id } = await engine.millrace.runs.rerun((await engine.run(flow, 1)).id, { from: "second" });
    expect(await engine.ended(id)).toMatchObject({
      ...{ status: "completed", usage: { tokens: 60 }, budget: { tokens: 100 } },
    });
  });

  test("of a start goes before that of the definition", async () => {
    const flow = spending({ tokens: 10 });
    await using engine = await engineUnderTest([flow]);
    await engine.worker();
    const { id } = await engine.millrace.runs.start(flow, 1, { budget: { tokens: 120, cost: 0.5 } });
    expect(await engine.ended(id)).toMatchObject({ status: "completed", budget: { tokens: 120, cost: 0.5 } });
    for (const budget of [{}, { tokens: 1.5 }, { cost: -1 }])
      await expect(engine.millrace.runs.start(flow, 1, { budget })).rejects.toMatchObject({
        ...{ code: "invalid_input", issues: [{ path: ["budget"] }] },
      });
  });

  test("stops a handler that is at work: it sees its signal, and its result is dropped", async () => {
    const stopped = Promise.withResolvers<unknown>();
    const long = workflow("long", { input, budget: { cost: 0.25 } }).step("a", async (_: unknown, ctx: StepContext) => {
      ctx.usage({ cost: 0.3 });
      ctx.signal.addEventListener("abort", () => stopped.resolve(ctx.signal.reason));
      await stopped.promise;
      return "too late";
    });
    await using engine = await engineUnderTest([long]);
    await engine.worker();
    const run = await engine.run(long, 1);
    expect(run).toMatchObject({
      error: { code: "budget_exceeded", message: "The run has used 0.3 in cost; its budget is 0.25." },
    });
    expect(await stopped.promise).toMatchObject({ code: "run_ended" });
    expect(run).not.toHaveProperty("output");
  });

  describe("that a step with an undo exceeds with its end", () => {
    const spends = (_: unknown, ctx: StepContext) => ctx.usage({ tokens: 50 });
    const rest = { undo: (_: unknown, ctx: StepContext) => undone.push(ctx.step) };
    const settings = { input, budget: { tokens: 120 } };
    let undone: string[] = [];
    beforeEach(() => {
      undone = [];
    });

    test("has that step undone with the others: it is done, and has no dead letter", async () => {
      const flow = workflow("trip", settings)
        .step("flight", { run: spends, ...rest })
        .step("hotel", { run: spends, ...rest })
        .step("car", { run: (_, ctx) => spends(_, ctx) ?? "hired", ...rest })
        .step("end", () => "never");
      await using engine = await engineUnderTest([flow]);
      await engine.worker();
      const run = await engine.run(flow, 1);
      expect(undone).toEqual(["car", "hotel", "flight"]);
      expect(run).toMatchObject({
        ...{ status: "failed", error: { code: "budget_exceeded" }, usage: { tokens: 150 } },
        steps: { car: { status: "completed", output: "hired" }, end: { status: "pending" } },
      });
      expect((await engine.events(run.id)).at(-1)).toMatchObject({
        type: "run.failed",
        data: { step: "car", error: { code: "budget_exceeded" } },
      });
      expect((await engine.millrace.deadLetters.list()).data).toEqual([]);
    });

    test.each([
      [3, ["all", "list"]],
      // Of what has not been gone through as a whole the undo knows nothing.
      [4, ["list"]],
    ])("has a map of %d undone if that end was its last", async (length, expected) => {
      const flow = workflow("spread", settings)
        .step("list", { run: () => Array.from({ length }, (_, i) => i), ...rest })
        .map("all", { over: (list) => list, limit: 1, run: spends, ...rest })
        .step("end", () => "never");
      await using engine = await engineUnderTest([flow]);
      await engine.worker();
      const run = await engine.run(flow, 1);
      expect(undone).toEqual(expected);
      expect(run).toMatchObject({ status: "failed", error: { code: "budget_exceeded" } });
    });

    test.each([
      [2, ["turns"]],
      [3, []],
    ])(
      "has a loop undone if the turn was its last: the third of those that end after number %d",
      async (last, expected) => {
        const flow = workflow("round", settings)
          .repeat("turns", { until: (_: unknown, turn) => turn === last, max: 9, run: spends, ...rest })
          .step("end", () => "never");
        await using engine = await engineUnderTest([flow]);
        await engine.worker();
        expect(await engine.run(flow, 1)).toMatchObject({ status: "failed", error: { code: "budget_exceeded" } });
        expect(undone).toEqual(expected);
      },
    );
  });

  test("is a child's own, and what it exceeds fails the parent's step", async () => {
    const parent = workflow("parent", { input }).child("child", {
      workflow: spending({ tokens: 100 }),
      input: () => null,
    });
    await using engine = await engineUnderTest([parent]);
    await engine.worker();
    const error = { code: "child_failed", cause: { code: "budget_exceeded" } };
    expect(await engine.run(parent, 1)).toMatchObject({ status: "failed", error });
  });
});
