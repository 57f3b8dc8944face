import { any } from "valibot";
import { afterEach, describe, expect, test } from "vitest";
import { type AnyWorkflow, FatalError, RetryAfterError, type StepContext, workflow } from "../../engine/index.ts";
import { type EngineUnderTest, engineUnderTest } from "../support/engine-under-test.ts";

const input = any();
let bench: EngineUnderTest;
afterEach(() => bench[Symbol.asyncDispose]());

async function open(...workflows: AnyWorkflow[]): Promise<EngineUnderTest> {
  bench = await engineUnderTest(workflows);
  return bench;
}

describe("a step that fails", () => {
  test("is tried again with backoff and jitter, goes to dead letters after its attempts, and is replayed", async () => {
    let healed = false;
    const seen: StepContext[] = [];
    const flaky = workflow("flaky", { input })
      .step("before", (n: number) => n + 1)
      .step("breaks", {
        retry: { attempts: 3, baseMs: 40, maxMs: 1_000 },
        run: (n, ctx) => {
          seen.push(ctx);
          if (!healed) throw new Error(`no ${n}`);
          return n * 10;
        },
      });
    await open(flaky);
    await bench.worker();
    const { id } = await bench.millrace.runs.start(flaky, 1);
    const events = await bench.events(id);
    expect(events.map((event) => event.type)).toEqual([
      ...["run.queued", "run.started", "step.started", "step.completed"],
      ...[
        "step.started",
        "step.retrying",
        "step.started",
        "step.retrying",
        "step.started",
        "step.failed",
        "run.failed",
      ],
    ]);
    const retries = events.filter((event) => event.type === "step.retrying");
    for (const [i, { at, data }] of retries.entries()) {
      const { retryAt, error } = data as { retryAt: string; error: object };
      expect(error).toEqual({ name: "Error", message: "no 2" });
      const delayMs = Date.parse(retryAt) - Date.parse(at);
      expect(delayMs).toBeGreaterThanOrEqual(0);
      expect(delayMs).toBeLessThanOrEqual(40 * 2 ** i);
      const restarted = events.find(
        (event) => event.type === "step.started" && event.attempt === i + 2 && event.step === "breaks",
      );
      expect(restarted!.at >= retryAt).toBe(true);
    }
    expect(seen.map((ctx) => ctx.attempt)).toEqual([1, 2, 3]);
    expect(new Set(seen.map((ctx) => ctx.idempotencyKey)).size).toBe(1);
    expect(new Set(seen.map((ctx) => ctx.fence)).size).toBe(3);

    const failed = await bench.millrace.runs.get(id);
    expect(failed).toMatchObject({
      status: "failed",
      error: { message: "no 2" },
      steps: { before: { status: "completed" }, breaks: { status: "failed", attempt: 3 } },
    });
    const { data: letters } = await bench.millrace.deadLetters.list({ workflow: "flaky", step: "breaks" });
    expect(letters).toMatchObject([{ run: id, step: "breaks", attempt: 3, error: { message: "no 2" } }]);
    expect(events[events.length - 1]!.data).toMatchObject({ step: "breaks", deadLetter: letters[0]!.id });

    healed = true;
    await bench.millrace.deadLetters.replay(letters[0]!.id);
    const more = await bench.events(id, events.length);
    expect(more.map((event) => event.type)).toEqual([
      "run.queued",
      "run.started",
      "step.started",
      "step.completed",
      "run.completed",
    ]);
    expect(await bench.millrace.runs.get(id)).toMatchObject({
      status: "completed",
      output: 20,
      steps: { before: { attempt: 1 } },
    });
    expect(await bench.millrace.deadLetters.list()).toEqual({ data: [] });
  });

  test("with a FatalError is not tried again", async () => {
    const fatal = workflow("fatal", { input }).step("s", () => {
      throw new FatalError("no use", { code: "useless" });
    });
    await open(fatal);
    await bench.worker();
    const run = await bench.run(fatal, 1);
    expect(run).toMatchObject({ status: "failed", error: { message: "no use", code: "useless" } });
    expect(run.steps.s).toMatchObject({ status: "failed", attempt: 1 });
  });

  test("with a RetryAfterError is tried again after that time", async () => {
    const later = workflow("later", { input }).step("s", (_: unknown, ctx) => {
      if (ctx.attempt === 1) throw new RetryAfterError("busy", 300);
      return "ok";
    });
    await open(later);
    await bench.worker();
    const { id } = await bench.millrace.runs.start(later, 1);
    const events = await bench.events(id);
    const [first, second] = events
      .filter((event) => event.type === "step.started")
      .map((event) => Date.parse(event.at));
    expect(second! - first!).toBeGreaterThanOrEqual(300);
    expect(events[events.length - 1]!.type).toBe("run.completed");
  });

  test.each<[string, () => unknown, RegExp]>([
    ["a value that is not JSON", () => 1n, /cannot be written as JSON/],
    [
      "a value that holds itself",
      () => Object.assign([] as unknown[], { 0: 0 }).concat([]) && circular(),
      /cannot be written as JSON/,
    ],
    ["a value too large to keep, and no blob store", () => "x".repeat(40_000), /no blob store/],
  ])("by returning %s", async (_, run, message) => {
    const odd = workflow("odd", { input }).step("s", { run, retry: { attempts: 1 } });
    await open(odd);
    await bench.worker();
    expect((await bench.run(odd, 1)).error?.message).toMatch(message);
  });

  test.each([undefined, null, "text", 0, { a: circular() }])("by throwing %s", async (thrown) => {
    const odd = workflow("odd", { input }).step("s", {
      retry: { attempts: 1 },
      run: () => {
        throw thrown;
      },
    });
    await open(odd);
    await bench.worker();
    expect(await bench.run(odd, 1)).toMatchObject({ status: "failed", error: { name: "Error" } });
  });

  test("by taking too long: its signal aborts, and its slot is free though it does not heed it", async () => {
    const reasons: string[] = [];
    const slow = workflow("slow", { input }).step("s", {
      timeoutMs: 50,
      retry: { attempts: 2, baseMs: 0 },
      concurrency: 1,
      run: (_: unknown, ctx) => {
        ctx.signal.addEventListener("abort", () => reasons.push(ctx.signal.reason.message));
        return ctx.attempt === 1 ? new Promise<string>(() => {}) : "in time";
      },
    });
    await open(slow);
    await bench.worker();
    expect(await bench.run(slow, 1)).toMatchObject({ status: "completed", output: "in time" });
    expect(reasons).toEqual(["The attempt took longer than 50 ms."]);
  });
});

function circular(): unknown {
  const loop: { loop?: unknown } = {};
  loop.loop = loop;
  return loop;
}
