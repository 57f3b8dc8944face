import * as v from "valibot";
import { afterEach, describe, expect, test } from "vitest";
import { type AnyWorkflow, FatalError, type RunEvent, workflow } from "../../../engine/index.ts";
import { type EngineUnderTest, engineUnderTest } from "../../support/engine-under-test.ts";
import { Gates } from "../../support/gates.ts";
import { undone as undoneLazily } from "../../support/lazy-undo.ts";

const input = v.any();
let engine: EngineUnderTest;
let done: unknown[] = [];
afterEach(async () => {
  done = [];
  await engine[Symbol.asyncDispose]();
});

async function open(...workflows: AnyWorkflow[]): Promise<EngineUnderTest> {
  engine = await engineUnderTest(workflows);
  return engine;
}

const fails = () => {
  throw new FatalError("no");
};
const note = (step: string) => ({ undo: () => done.push(step) });
/** What a log says of undos, in words. */
const undosIn = (events: RunEvent[]) =>
  events
    .filter(({ data }) => (data as { undo?: boolean } | undefined)?.undo === true)
    .map(({ type, step, attempt }) => `${step} ${type.slice("step.".length)} ${attempt}`);

describe("a run that fails", () => {
  test("has what it has done undone in reverse, one step at a time; its end is its last event", async () => {
    const trip = workflow("trip", { input })
      .step("flight", { run: (n: number) => n + 1, undo: (each) => done.push(each) })
      .step("no-undo", (n) => n + 1)
      .step("hotel", { run: async (n) => `${n}`, undo: async (each) => done.push(each) })
      .step("card", { run: fails, undo: () => done.push("never") });
    await open(trip);
    await engine.worker();
    const { id } = await engine.millrace.runs.start(trip, 1);
    const events = await engine.events(id);
    expect(done).toEqual([
      { input: 3, output: "3" },
      { input: 1, output: 2 },
    ]);
    expect(undosIn(events)).toEqual(["hotel started 1", "hotel completed 1", "flight started 1", "flight completed 1"]);
    expect(events.map(({ type }) => type).slice(-6)).toEqual([
      ...["step.failed", "step.started", "step.completed", "step.started", "step.completed", "run.failed"],
    ]);
    const run = await engine.millrace.runs.get(id);
    expect(run).toMatchObject({ status: "failed", error: { message: "no" }, endedAt: events.at(-1)!.at });
    expect(run).not.toHaveProperty("undoing");
    expect(run.steps.flight).toMatchObject({ status: "completed", output: 2 });
    const [start, end] = events.filter(({ step, data }) => step === "flight" && data !== undefined);
    expect(run.steps.flight!.undo).toEqual({ status: "completed", attempt: 1, startedAt: start!.at, endedAt: end!.at });
    expect(run.steps["no-undo"]).not.toHaveProperty("undo");
    expect(run.steps.card).not.toHaveProperty("undo");
  });

  test("is undone in the order in which its steps completed, not in which they are declared", async () => {
    const gates = new Gates();
    const open3 = workflow("parallel", { input })
      .step("a", { after: [], run: (_, ctx) => gates.pass("a", ctx.signal), ...note("a") })
      .step("b", { after: [], run: (_, ctx) => gates.pass("b", ctx.signal), ...note("b") })
      .step("c", { after: [], run: (_, ctx) => gates.pass("c", ctx.signal), ...note("c") })
      .step("live", { after: [], run: (_, ctx) => gates.pass("never", ctx.signal), ...note("live") })
      .step("end", { after: ["a", "b", "c"], run: fails });
    await open(open3);
    await engine.worker();
    const { id } = await engine.millrace.runs.start(open3, null);
    for (const step of ["c", "a", "b"]) {
      gates.open(step);
      await engine.until(id, (event) => event.type === "step.completed" && event.step === step);
    }
    const run = await engine.ended(id);
    expect(done).toEqual(["b", "a", "c"]);
    // What was still at work is not undone: nothing of it is known.
    expect(run.steps.live).toMatchObject({ status: "cancelled" });
    expect(run.steps.live).not.toHaveProperty("undo");
  });

  test("because of its deadline is undone as well, in whatever time that takes", async () => {
    const late = workflow("late", { input, deadlineMs: 50 })
      .step("a", { run: () => 1, undo: () => new Promise((resolve) => setTimeout(() => resolve(done.push("a")), 60)) })
      .sleep("sleep", 86_400_000);
    await open(late);
    await engine.worker();
    expect(await engine.run(late, null)).toMatchObject({ status: "failed", error: { code: "run_deadline" } });
    expect(done).toEqual(["a"]);
  });

  test("before anything was done that can be undone ends at once", async () => {
    const early = workflow("early", { input })
      .step("first", () => 1)
      .step("second", { run: fails, ...note("second") })
      .step("third", { run: () => 1, ...note("third") });
    await open(early);
    await engine.worker();
    const { id } = await engine.millrace.runs.start(early, null);
    expect((await engine.events(id)).map(({ type }) => type).slice(-2)).toEqual(["step.failed", "run.failed"]);
    expect(done).toEqual([]);
    const { data } = await engine.millrace.deadLetters.list();
    await engine.millrace.deadLetters.replay(data[0]!.id);
  });

  test("steps that were skipped are not undone; maps, loops and children are, as a whole", async () => {
    const inner = workflow("inner", { input }).step("work", { run: () => "inner", ...note("inner") });
    const all = workflow("all", { input })
      .step("skipped", { run: () => 1, when: () => false, ...note("skipped") })
      .map("map", {
        after: [],
        over: () => [1, 2, 3],
        run: (n: number) => n * n,
        undo: ({ output }) => done.push(output),
      })
      .repeat("loop", {
        run: (list) => list.slice(1),
        until: (list) => list.length === 1,
        max: 5,
        undo: (each) => done.push(each),
      })
      .child("child", { workflow: inner, input: (list) => list, undo: (each) => done.push(each) })
      .map("broken", { over: () => [1, 2], run: (n: number) => (n === 2 ? fails() : n), limit: 1, ...note("broken") });
    await open(all);
    await engine.worker();
    expect(await engine.run(all, null)).toMatchObject({ status: "failed" });
    expect(done).toEqual([{ input: [9], output: "inner" }, { input: [1, 4, 9], output: [9] }, [1, 4, 9]]);
  });

  test("whose undo is found in its handler's module", async () => {
    const lazy = workflow("lazy", { input })
      .step("n", () => 4)
      .step("lazy", { load: () => import("../../support/lazy-undo.ts"), undo: true })
      .step("end", fails);
    await open(lazy);
    await engine.worker();
    await engine.run(lazy, null);
    expect(undoneLazily).toEqual([{ input: 4, output: 8 }]);
  });

  test("is `running` while it is undone, and neither cancelled, signalled nor replayed then", async () => {
    const gates = new Gates();
    const slow = workflow("slow", { input })
      .waitFor("go", { after: [], schema: v.any() })
      .step("a", { after: [], run: () => 1, undo: (_, ctx) => gates.pass("undo", ctx.signal) })
      .step("b", fails);
    await open(slow);
    await engine.worker();
    const { millrace } = engine;
    const { id } = await millrace.runs.start(slow, null);
    await engine.until(id, ({ type, step, data }) => type === "step.started" && step === "a" && data !== undefined);
    const shown = { status: "running", undoing: "failed", error: { message: "no" } };
    expect(await millrace.runs.get(id)).toMatchObject({ ...shown, steps: { a: { undo: { status: "running" } } } });
    expect((await millrace.runs.list({ status: "running" })).data).toMatchObject([shown]);
    expect((await millrace.runs.list({ status: "failed" })).data).toEqual([]);
    await millrace.runs.cancel(id);
    await expect(millrace.runs.signal(id, "go")).rejects.toMatchObject({ code: "run_ended" });
    const [letter] = (await millrace.deadLetters.list()).data;
    expect(letter).not.toHaveProperty("undo");
    await expect(millrace.deadLetters.replay(letter!.id)).rejects.toMatchObject({ code: "run_undone" });
    gates.open("undo");
    expect(await engine.ended(id)).toMatchObject({ status: "failed", steps: { go: { status: "cancelled" } } });
    await expect(millrace.deadLetters.replay(letter!.id)).rejects.toMatchObject({ code: "run_undone" });
    expect((await millrace.runs.list({ status: "running" })).data).toEqual([]);
    expect((await millrace.runs.list({ status: "failed" })).data).toMatchObject([{ id, status: "failed" }]);
  });
});

describe("a run that is cancelled", () => {
  test("is undone as well, and is cancelled when that is done", async () => {
    const gates = new Gates();
    const seen = Promise.withResolvers<AbortSignal>();
    const trip = workflow("trip", { input })
      .step("a", { run: () => 1, ...note("a") })
      .step("b", { run: () => 2, ...note("b") })
      .step("at-work", {
        run: (_, ctx) => {
          seen.resolve(ctx.signal);
          return gates.pass("never", ctx.signal);
        },
        ...note("at-work"),
      });
    await open(trip);
    await engine.worker();
    const { id } = await engine.millrace.runs.start(trip, null);
    const signal = await seen.promise;
    await engine.millrace.runs.cancel(id);
    const events = await engine.events(id);
    expect(undosIn(events)).toEqual(["b started 1", "b completed 1", "a started 1", "a completed 1"]);
    expect(events.at(-1)!.type).toBe("run.cancelled");
    expect(done).toEqual(["b", "a"]);
    expect(await engine.millrace.runs.get(id)).toMatchObject({ status: "cancelled" });
    await new Promise<void>((resolve) =>
      signal.aborted ? resolve() : signal.addEventListener("abort", () => resolve()),
    );
    await engine.millrace.runs.cancel(id);
  });

  test("while it waits, with nothing at work", async () => {
    const waits = workflow("waits", { input })
      .step("a", { run: () => 1, ...note("a") })
      .sleep("sleep", 86_400_000);
    await open(waits);
    await engine.worker();
    const { id } = await engine.millrace.runs.start(waits, null);
    await engine.until(id, ({ type }) => type === "run.waiting");
    await engine.millrace.runs.cancel(id);
    expect(await engine.ended(id)).toMatchObject({ status: "cancelled", steps: { sleep: { status: "cancelled" } } });
    expect(done).toEqual(["a"]);
  });
});
