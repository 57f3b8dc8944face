import { any } from "valibot";
import { afterEach, describe, expect, test } from "vitest";
import { FsBlobStore } from "../../engine/blobs/fs.ts";
import { type AnyWorkflow, FatalError, RetryAfterError, type StepContext, workflow } from "../../engine/index.ts";
import { EngineBench } from "../support/engine.ts";
import { Gates } from "../support/gates.ts";
import { temporaryDir } from "../support/run.ts";

const input = any();
let bench: EngineBench;
afterEach(() => bench.close());

async function open(...workflows: AnyWorkflow[]): Promise<EngineBench> {
  bench = await EngineBench.open(workflows);
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
    const run = await bench.ended(fatal, 1);
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
    expect((await bench.ended(odd, 1)).error?.message).toMatch(message);
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
    expect(await bench.ended(odd, 1)).toMatchObject({ status: "failed", error: { name: "Error" } });
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
    expect(await bench.ended(slow, 1)).toMatchObject({ status: "completed", output: "in time" });
    expect(reasons).toEqual(["The attempt took longer than 50 ms."]);
  });
});

function circular(): unknown {
  const loop: { loop?: unknown } = {};
  loop.loop = loop;
  return loop;
}

describe("what a handler says", () => {
  test("comes in order, neighbouring text joined, and the last progress is shown", async () => {
    const talk = workflow("talk", { input }).step("s", async (_: unknown, ctx) => {
      for (const word of ["one ", "two ", "three"]) ctx.emit(word);
      ctx.emit({ kind: "object" });
      ctx.emit("four");
      ctx.progress(0.25);
      ctx.progress(1, "all of it");
      return "done";
    });
    await open(talk);
    await bench.worker();
    const { id } = await bench.millrace.runs.start(talk, 1);
    const events = await bench.events(id);
    expect(events.filter((event) => event.type === "step.output").map((event) => event.data)).toEqual([
      { text: "one two three" },
      { kind: "object" },
      { text: "four" },
    ]);
    expect(events.filter((event) => event.type === "step.progress").map((event) => event.data)).toEqual([
      { progress: 1, message: "all of it" },
    ]);
    expect((await bench.millrace.runs.get(id)).steps.s).toMatchObject({ progress: 1, message: "all of it" });
  });

  test("is told at most four times a second, the start and the end apart", async () => {
    const busy = workflow("busy", { input }).step("s", async (_: unknown, ctx) => {
      for (const until = Date.now() + 1_000; Date.now() < until; await new Promise(setImmediate)) ctx.progress(0.5);
    });
    await open(busy);
    await bench.worker();
    const { id } = await bench.millrace.runs.start(busy, 1);
    const told = (await bench.events(id)).filter((event) => event.type === "step.progress");
    expect(told.length).toBeGreaterThanOrEqual(3);
    expect(told.length).toBeLessThanOrEqual(6);
  });

  test("10,000 characters and 200 objects at once: nothing is lost", async () => {
    const flood = workflow("flood", { input }).step("s", (_: unknown, ctx) => {
      ctx.emit("x".repeat(10_000));
      for (let i = 0; i < 200; i += 1) ctx.emit({ i });
    });
    await open(flood);
    await bench.worker();
    const { id } = await bench.millrace.runs.start(flood, 1);
    const data = (await bench.events(id)).flatMap((event) =>
      event.type === "step.output" ? [event.data as { text?: string; i?: number }] : [],
    );
    expect(data.map(({ text }) => text ?? "").join("")).toBe("x".repeat(10_000));
    expect(data.flatMap(({ i }) => i ?? [])).toEqual(Array.from({ length: 200 }, (_, i) => i));
  });

  test.each([
    ["progress of 2", (ctx: StepContext) => ctx.progress(2), /Progress is from 0 to 1/],
    ["an object of 100 KB", (ctx: StepContext) => ctx.emit({ text: "x".repeat(100_000) }), /at most/],
    ["5 MB at once", (ctx: StepContext) => ctx.emit("x".repeat(5_000_000)), /could be stored/],
  ])("is refused if it is %s", async (_, say, message) => {
    const odd = workflow("odd", { input }).step("s", { retry: { attempts: 1 }, run: (_: unknown, ctx) => say(ctx) });
    await open(odd);
    await bench.worker();
    expect((await bench.ended(odd, 1)).error?.message).toMatch(message);
  });
});

describe("values", () => {
  const echo = workflow("echo", { input })
    .step("a", (value: unknown) => value)
    .step("b", (value) => value);

  test.each([
    ["nothing", undefined, null],
    ["empty lists and long numbers", { list: [], n: 1234567890123456, text: "ä\u0000\ud83d\ude00" }, undefined],
    ["more than an entry carries", { text: "x".repeat(20_000) }, undefined],
  ])("go through as they are: %s", async (_, given, expected) => {
    await open(echo);
    await bench.worker();
    expect((await bench.ended(echo, given)).output).toEqual(expected === undefined ? given : expected);
  });

  test("that are large go through the blob store", async () => {
    bench = await EngineBench.open([echo], new FsBlobStore(await temporaryDir()));
    await bench.worker();
    const given = { text: "x".repeat(200_000) };
    const run = await bench.ended(echo, given);
    expect(run.output).toEqual(given);
    expect(run.input).toEqual(given);
  });
});

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
    const second = await bench.millrace.runs.start(flow, "second");
    gates.open("second");
    await bench.until(first.id, (event) => event.type === "step.started");
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

  test("hands its handlers the environment that it was given", async () => {
    const flow = workflow("flow", { input }).step("s", (_: unknown, ctx) => ctx.env.SETTING);
    await open(flow);
    await bench.worker({ env: { SETTING: "on" } });
    expect((await bench.ended(flow, 1)).output).toBe("on");
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
    let second = 0;
    const flow = workflow("flow", { input })
      .step("long", (_: unknown, ctx) => {
        return new Promise((_, reject) => {
          ctx.signal.addEventListener("abort", () => {
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
    await bench.ended(flow, 2);
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
