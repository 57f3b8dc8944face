import * as v from "valibot";
import { afterEach, describe, expect, test, vi } from "vitest";
import { type AnyWorkflow, FatalError, type RunEvent, type StepContext, workflow } from "../../../engine/index.ts";
import { type EngineUnderTest, engineUnderTest } from "../../support/engine-under-test.ts";
import { Gates } from "../../support/gates.ts";

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

describe("an undo", () => {
  test("is tried again by its own policy, with a key and attempts of its own", async () => {
    const seen: StepContext[] = [];
    const flaky = workflow("flaky", { input })
      .step("a", {
        run: (_, ctx) => {
          seen.push(ctx);
          if (ctx.attempt === 1) throw new Error("once");
        },
        retry: { attempts: 2, baseMs: 0, maxMs: 0 },
        undo: (_, ctx) => {
          seen.push(ctx);
          ctx.emit(`attempt ${ctx.attempt}`);
          ctx.progress(0.5);
          if (ctx.attempt < 4) throw new Error("not yet");
        },
        undoRetry: { attempts: 4 },
      })
      .step("b", fails);
    await open(flaky);
    await engine.worker();
    const { id } = await engine.millrace.runs.start(flaky, null);
    const events = await engine.events(id);
    expect(undosIn(events).filter((each) => !/output|progress/.test(each))).toEqual([
      ...[1, 2, 3].flatMap((attempt) => [`a started ${attempt}`, `a retrying ${attempt}`]),
      ...["a started 4", "a completed 4"],
    ]);
    expect(undosIn(events)).toContain("a output 4");
    expect(undosIn(events)).toContain("a progress 4");
    const [retrying] = events.filter(({ type, data }) => type === "step.retrying" && (data as { undo?: true }).undo);
    expect(retrying!.data).toEqual({
      error: { name: "Error", message: "not yet" },
      retryAt: expect.any(String),
      undo: true,
    });
    expect(seen.map((ctx) => ctx.attempt)).toEqual([1, 2, 1, 2, 3, 4]);
    expect(new Set(seen.map((ctx) => ctx.idempotencyKey))).toEqual(new Set([`${id}:a`, `${id}:a:undo`]));
    expect(new Set(seen.map((ctx) => ctx.fence)).size).toBe(6);
    const { steps } = await engine.millrace.runs.get(id);
    expect(steps.a).toMatchObject({ status: "completed", attempt: 2, undo: { status: "completed", attempt: 4 } });
    expect(steps.a).not.toHaveProperty("progress");
  });

  test("that fails for good is a dead letter; the rest is undone; replayed, it runs again", async () => {
    let broken = true;
    const partly = workflow("partly", { input })
      .step("a", { run: () => 1, ...note("a") })
      .step("b", {
        run: () => 2,
        undo: () => {
          if (broken) throw new FatalError("still there");
          done.push("b");
        },
      })
      .step("c", { run: () => 3, ...note("c") })
      .step("d", fails);
    await open(partly);
    await engine.worker();
    const { millrace } = engine;
    const { id } = await millrace.runs.start(partly, null);
    const failed = await engine.ended(id);
    expect(done).toEqual(["c", "a"]);
    expect(failed).toMatchObject({ status: "failed", error: { message: "no" } });
    expect(failed.steps.b).toMatchObject({
      status: "completed",
      output: 2,
      undo: { status: "failed", attempt: 1, error: { message: "still there" } },
    });
    const { data } = await millrace.deadLetters.list({ step: "b" });
    expect(data).toMatchObject([{ run: id, step: "b", undo: true, attempt: 1, error: { message: "still there" } }]);
    broken = false;
    expect(await millrace.deadLetters.replay(data[0]!.id)).toEqual({ run: id, step: "b" });
    const events = await engine.events(id, failed.seq);
    expect(events.map(({ type }) => type)).toEqual(["run.started", "step.started", "step.completed", "run.failed"]);
    expect(done).toEqual(["c", "a", "b"]);
    expect((await millrace.runs.get(id)).steps.b!.undo).toMatchObject({ status: "completed", attempt: 1 });
    await expect(millrace.deadLetters.replay(data[0]!.id)).rejects.toMatchObject({ code: "not_found" });
  });

  test("that is replayed while others are undone has its turn among them", async () => {
    const gates = new Gates();
    let broken = true;
    const partly = workflow("partly", { input })
      .step("a", { run: () => 1, ...note("a") })
      .step("b", { run: () => 1, undo: (_, ctx) => gates.pass("b", ctx.signal) })
      .step("c", {
        run: () => 2,
        undo: () => {
          if (broken) throw new FatalError("still there");
          done.push("c");
        },
      })
      .step("d", fails);
    await open(partly);
    await engine.worker();
    const { id } = await engine.millrace.runs.start(partly, null);
    await engine.until(id, ({ type, step, data }) => type === "step.started" && step === "b" && data !== undefined);
    broken = false;
    const { data } = await engine.millrace.deadLetters.list({ step: "c" });
    await engine.millrace.deadLetters.replay(data[0]!.id);
    gates.open("b");
    expect(await engine.ended(id)).toMatchObject({ steps: { c: { undo: { status: "completed" } } } });
    expect(done).toEqual(["c", "a"]);
  });

  test("of each of many runs at once is stored, with what else there is to store", async () => {
    const runs = 60;
    const many = workflow("many", { input })
      .step("a", { run: (n: number) => n, undo: ({ output }) => done.push(output) })
      .step("b", (n) => (n % 2 === 0 ? fails() : n));
    await open(many);
    const started = Array.from({ length: runs }, (_, n) => engine.millrace.runs.start(many, n));
    const ids = (await Promise.all(started)).map(({ id }) => id);
    await engine.worker({ concurrency: 60 });
    const ended = await Promise.all(ids.map((id) => engine.ended(id)));
    expect(ended.map(({ status }) => status)).toEqual(ids.map((_, n) => (n % 2 === 0 ? "failed" : "completed")));
    expect(done.sort((a, b) => Number(a) - Number(b))).toEqual(ids.flatMap((_, n) => (n % 2 === 0 ? [n] : [])));
  });

  test("that is discarded stays failed", async () => {
    const stuck = workflow("stuck", { input })
      .step("a", { run: () => 1, undo: fails })
      .step("b", fails);
    await open(stuck);
    await engine.worker();
    const run = await engine.run(stuck, null);
    const { data } = await engine.millrace.deadLetters.list({ step: "a" });
    await engine.millrace.deadLetters.discard(data[0]!.id);
    expect(await engine.millrace.runs.get(run.id)).toEqual(run);
    expect((await engine.millrace.deadLetters.list({ step: "a" })).data).toEqual([]);
  });

  test("that takes too long is tried again", async () => {
    const slow = workflow("slow", { input })
      .step("a", {
        run: () => 1,
        timeoutMs: 50,
        retry: { baseMs: 0, maxMs: 0 },
        undo: async (_, ctx) => {
          if (ctx.attempt === 1) await new Promise(() => {});
          done.push(ctx.attempt);
        },
      })
      .step("b", fails);
    await open(slow);
    await engine.worker();
    await engine.run(slow, null);
    expect(done).toEqual([2]);
  });

  test("in the middle of which its worker is stopped goes on with another, uncharged", async () => {
    const gates = new Gates();
    const slow = workflow("slow", { input })
      .step("a", { run: () => 1, ...note("a") })
      .step("b", {
        run: () => 2,
        undo: async (_, ctx) => {
          await gates.pass("b", ctx.signal);
          done.push(ctx.attempt);
        },
      })
      .step("c", fails);
    await open(slow);
    const first = await engine.worker({ drainMs: 0 });
    const { id } = await engine.millrace.runs.start(slow, null);
    await engine.until(id, ({ type, step, data }) => type === "step.started" && step === "b" && data !== undefined);
    await first.stop();
    gates.open("b");
    await engine.worker();
    await engine.ended(id);
    expect(done).toEqual([1, "a"]);
  });
});

describe("a child run", () => {
  test("that fails is undone before its parent hears of it; its parent is then undone", async () => {
    const gates = new Gates();
    const inner = workflow("inner", { input })
      .step("a", {
        run: () => 1,
        undo: async (_, ctx) => {
          await gates.pass("inner", ctx.signal);
          done.push("inner");
        },
      })
      .step("b", fails);
    const outer = workflow("outer", { input })
      .step("first", { run: () => 1, ...note("outer") })
      .child("child", { workflow: inner, input: () => null });
    await open(outer);
    await engine.worker();
    const { id } = await engine.millrace.runs.start(outer, null);
    await engine.until(id, ({ type }) => type === "run.waiting");
    const child = (await engine.millrace.runs.get(id)).steps.child!.waitingFor!.run!;
    await engine.until(child, ({ type, data }) => type === "step.started" && data !== undefined);
    expect(await engine.millrace.runs.get(id)).toMatchObject({ status: "waiting" });
    gates.open("inner");
    expect(await engine.ended(id)).toMatchObject({ status: "failed", error: { code: "child_failed" } });
    expect(done).toEqual(["inner", "outer"]);
  });

  test("that is live when its parent fails is cancelled and undone", async () => {
    const gates = new Gates();
    const inner = workflow("inner", { input })
      .step("a", { run: () => 1, ...note("inner") })
      .sleep("sleep", 86_400_000);
    const outer = workflow("outer", { input })
      .child("child", { workflow: inner, input: () => null })
      .step("bad", {
        after: [],
        run: async (_, ctx) => {
          await gates.pass("bad", ctx.signal);
          fails();
        },
      });
    await open(outer);
    await engine.worker();
    const { id } = await engine.millrace.runs.start(outer, null);
    const child = await vi.waitFor(async () => {
      const { waitingFor } = (await engine.millrace.runs.get(id)).steps.child!;
      return waitingFor?.run ?? Promise.reject(new Error("The child has not begun."));
    });
    await engine.until(child, ({ type }) => type === "run.waiting");
    gates.open("bad");
    expect(await engine.ended(child)).toMatchObject({ status: "cancelled" });
    expect(done).toEqual(["inner"]);
  });
});
