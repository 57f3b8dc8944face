import { any } from "valibot";
import { afterEach, describe, expect, test } from "vitest";
import { type AnyWorkflow, type StepContext, workflow } from "../../engine/index.ts";
import { type EngineUnderTest, engineUnderTest } from "../support/engine-under-test.ts";
import { Gates } from "../support/gates.ts";
import { rawRedis } from "../support/redis.ts";
import { keysOf } from "../support/run-keys.ts";

const input = any();
let bench: EngineUnderTest;
afterEach(() => bench[Symbol.asyncDispose]());

async function open(...workflows: AnyWorkflow[]): Promise<EngineUnderTest> {
  bench = await engineUnderTest(workflows);
  return bench;
}

describe("a worker", () => {
  test("runs no more at once than it may, of a step and in all", async () => {
    const gates = new Gates();
    const now = { narrow: 0, wide: 0 };
    const most = { narrow: 0, wide: 0, all: 0 };
    const step = (name: "narrow" | "wide") => async (key: string, ctx: StepContext) => {
      now[name] += 1;
      most[name] = Math.max(most[name], now[name]);
      most.all = Math.max(most.all, now.narrow + now.wide);
      await gates.pass(name === "wide" ? key : "narrow", ctx.signal);
      now[name] -= 1;
      return key;
    };
    const flow = workflow("flow", { input })
      .step("wide", step("wide"))
      .step("narrow", { run: step("narrow"), concurrency: 2 });
    await open(flow);
    await bench.worker({ concurrency: 5 });
    const runs = await Promise.all(Array.from({ length: 20 }, () => bench.millrace.runs.start(flow, "key")));
    gates.open("key");
    gates.open("narrow");
    for (const { id } of runs) await bench.events(id);
    expect(most.narrow).toBeLessThanOrEqual(2);
    expect(most.all).toBeLessThanOrEqual(5);
    expect(most.wide).toBeGreaterThan(1);
  });

  test("takes the next run of a step as soon as that step has a free slot, though it waits for others meanwhile", async () => {
    const gates = new Gates();
    const flow = workflow("flow", { input })
      .step("single", { concurrency: 1, run: (name: string, ctx) => gates.pass(name, ctx.signal) })
      .step("other", () => null);
    await open(flow);
    await bench.worker({ concurrency: 5 });
    const first = await bench.millrace.runs.start(flow, "first");
    await bench.until(first.id, (event) => event.type === "step.started");
    const second = await bench.millrace.runs.start(flow, "second");
    gates.open("second");
    gates.open("first");
    const done = (await bench.events(first.id)).find((event) => event.type === "step.completed")!;
    const begun = (await bench.events(second.id)).find((event) => event.type === "step.started")!;
    // A blocking read lasts 2 s: without being woken the worker would see the second run only then.
    expect(Date.parse(begun.at) - Date.parse(done.at)).toBeLessThan(1_000);
  });

  test("serves only its steps; the rest waits for another", async () => {
    const flow = workflow("flow", { input })
      .step("a", () => "a")
      .step("b", (value) => `${value}b`);
    await open(flow);
    await bench.worker({ steps: (_, step) => step === "a" });
    const { id } = await bench.millrace.runs.start(flow, 1);
    await bench.until(id, (event) => event.type === "step.completed");
    expect((await bench.millrace.queues()).map(({ step, depth, workers }) => [step, depth, workers])).toEqual([
      ["a", 0, 1],
      ["b", 1, 0],
    ]);
    await bench.worker({ steps: (_, step) => step === "b" });
    await bench.events(id);
    expect(await bench.millrace.runs.get(id)).toMatchObject({ status: "completed", output: "ab" });
  });

  test("counts the results that came too late, and goes on", async () => {
    const gates = new Gates();
    const flow = workflow("flow", { input }).step("s", (name: string, ctx) => gates.pass(name, ctx.signal));
    await open(flow);
    const worker = await bench.worker();
    const { id } = await bench.millrace.runs.start(flow, "late");
    await bench.until(id, (event) => event.type === "step.started");
    const redis = rawRedis();
    const stream = keysOf(bench, id).step({ workflow: "flow", version: 1 }, "s");
    const [pending] = (await redis.xpending(stream, "workers", "-", "+", 1)) as [string][];
    await redis.xclaim(stream, "workers", "another", 0, pending![0]);
    gates.open("late");
    await expect.poll(() => worker.lateResults).toBe(1);
    expect(await bench.millrace.runs.get(id)).toMatchObject({ status: "running" });
    gates.open("next");
    expect(await bench.run(flow, "next")).toMatchObject({ status: "completed" });
    expect(worker.lateResults).toBe(1);
  });

  test("hands its handlers the environment that it was given", async () => {
    const flow = workflow("flow", { input }).step("s", (_: unknown, ctx) => ctx.env.SETTING);
    await open(flow);
    await bench.worker({ env: { SETTING: "on" } });
    expect((await bench.run(flow, 1)).output).toBe("on");
  });

  test.each([{ concurrency: 0 }, { concurrency: 1.5 }, { leaseMs: 1 }, { drainMs: -1 }, { steps: () => false }])(
    "is refused with %j",
    async (options) => {
      await open(workflow("flow", { input }).step("s", () => 1));
      await expect(bench.worker(options)).rejects.toMatchObject({ code: "bad_option" });
    },
  );
});

describe("a run that is cancelled", () => {
  test("while a handler works: its signal aborts within a second, and nothing follows", async () => {
    const aborted = Promise.withResolvers<number>();
    const reasons: string[] = [];
    let second = 0;
    const flow = workflow("flow", { input })
      .step("long", (_: unknown, ctx) => {
        return new Promise((_, reject) => {
          ctx.signal.addEventListener("abort", () => {
            reasons.push(ctx.signal.reason.code);
            aborted.resolve(Date.now());
            reject(ctx.signal.reason);
          });
        });
      })
      .step("after", () => {
        second += 1;
      });
    await open(flow);
    await bench.worker();
    const { id } = await bench.millrace.runs.start(flow, 1);
    await bench.until(id, (event) => event.type === "step.started");
    const at = Date.now();
    await bench.millrace.runs.cancel(id);
    expect((await aborted.promise) - at).toBeLessThan(1_000);
    // Another attempt would go on with what this one has done: only now has it to take that back.
    expect(reasons).toEqual(["run_ended"]);
    expect((await bench.events(id)).map((event) => event.type)).toEqual([
      "run.queued",
      "run.started",
      "step.started",
      "run.cancelled",
    ]);
    expect(second).toBe(0);
    expect(await bench.millrace.runs.get(id)).toMatchObject({
      status: "cancelled",
      steps: { long: { status: "cancelled" }, after: { status: "pending" } },
    });
  });

  test("before a worker has taken it: no handler is called", async () => {
    let called = 0;
    const flow = workflow("flow", { input }).step("s", () => {
      called += 1;
    });
    await open(flow);
    const { id } = await bench.millrace.runs.start(flow, 1);
    await bench.millrace.runs.cancel(id);
    await bench.worker();
    await bench.run(flow, 2);
    expect(called).toBe(1);
    await expect(bench.millrace.runs.cancel("nothing")).rejects.toMatchObject({ code: "not_found" });
  });
});

describe("what handlers leave unfinished when the worker stops", () => {
  test("is finished if it takes no longer than the drain", async () => {
    const gates = new Gates();
    const flow = workflow("flow", { input }).step("s", (_: unknown, ctx) => gates.pass("go", ctx.signal));
    await open(flow);
    const worker = await bench.worker({ drainMs: 20_000 });
    const { id } = await bench.millrace.runs.start(flow, 1);
    await bench.until(id, (event) => event.type === "step.started");
    const stopped = worker.stop();
    gates.open("go");
    await stopped;
    expect(await bench.millrace.runs.get(id)).toMatchObject({ status: "completed" });
  });

  test("is given back uncharged otherwise, whether it heeds its signal or not, and runs elsewhere", async () => {
    let deaf = true;
    const flow = workflow("flow", { input }).step("s", {
      retry: { attempts: 1 },
      crashes: 1,
      run: (kind: string, ctx) => {
        if (!deaf) return `${kind} ${ctx.attempt}`;
        return new Promise<string>((_, reject) => {
          if (kind === "heeds") ctx.signal.addEventListener("abort", () => reject(new Error("aborted")));
        });
      },
    });
    await open(flow);
    const worker = await bench.worker({ drainMs: 20 });
    const runs = await Promise.all(["heeds", "does not"].map((kind) => bench.millrace.runs.start(flow, kind)));
    for (const { id } of runs) await bench.until(id, (event) => event.type === "step.started");
    await worker.stop();
    expect((await bench.millrace.queues())[0]).toMatchObject({ depth: 2, inFlight: 0, workers: 0 });
    deaf = false;
    await bench.worker();
    for (const { id } of runs) await bench.events(id);
    const views = await Promise.all(runs.map(({ id }) => bench.millrace.runs.get(id)));
    expect(views.map((run) => run.output)).toEqual(["heeds 1", "does not 1"]);
  });
});
