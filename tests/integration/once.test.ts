import { any, number } from "valibot";
import { describe, expect, test } from "vitest";
import { FsBlobStore } from "../../engine/blobs/fs.ts";
import { type AnyWorkflow, FatalError, type StepContext, workflow } from "../../engine/index.ts";
import { NamespaceKeys } from "../../engine/keys.ts";
import { engineUnderTest } from "../support/engine-under-test.ts";
import { Gates } from "../support/gates.ts";
import { rawRedis } from "../support/redis.ts";
import { temporaryDir } from "../support/run.ts";
import { keysOf } from "../support/run-keys.ts";

const retry = { attempts: 3, baseMs: 0, maxMs: 0 };

/** A workflow of one step, which does this. */
const doing = (run: (ctx: StepContext) => unknown): AnyWorkflow =>
  workflow("doing", { input: any() }).step("s", { retry, run: (_: unknown, ctx) => run(ctx) });

describe("a result that is remembered", () => {
  test("is given to later attempts as the first one had it, and nothing is paid twice", async () => {
    const paid: string[] = [];
    const given: unknown[] = [];
    const flow = doing(async (ctx) => {
      const pay = (name: string, value: unknown) =>
        ctx.once(name, async () => {
          paid.push(name);
          return value;
        });
      given.push([await pay("list", { list: [], at: new Date(0) }), await pay("nothing", undefined)]);
      if (ctx.attempt < 3) throw new Error("not yet");
    });
    await using engine = await engineUnderTest([flow]);
    await engine.worker();
    expect(await engine.run(flow, 1)).toMatchObject({ status: "completed", steps: { s: { attempt: 3 } } });
    expect(paid).toEqual(["list", "nothing"]);
    const first = [{ list: [], at: "1970-01-01T00:00:00.000Z" }, null];
    expect(given).toEqual([first, first, first]);
  });

  test("survives the end of its worker", async () => {
    const gates = new Gates();
    let paid = 0;
    let broken = true;
    const flow = doing(async (ctx) => {
      const answer = await ctx.once("answer", () => ++paid);
      if (paid === 1 && ctx.attempt === 1 && broken) {
        ctx.emit("paid");
        await gates.pass("never", ctx.signal);
      }
      if (broken) throw new Error("broken");
      return answer;
    });
    await using engine = await engineUnderTest([flow]);
    const worker = await engine.worker({ drainMs: 0 });
    const { id } = await engine.millrace.runs.start(flow, 1);
    await engine.until(id, ({ type }) => type === "step.output");
    await worker.stop();
    broken = false;
    await engine.worker();
    expect(await engine.ended(id)).toMatchObject({ status: "completed", output: 1 });
    expect(paid).toBe(1);
  });

  test("survives a failure for good, for the replay", async () => {
    let paid = 0;
    let broken = true;
    const flow = doing(async (ctx) => {
      const answer = await ctx.once("answer", () => ++paid);
      if (broken) throw new Error("broken");
      return answer;
    });
    await using engine = await engineUnderTest([flow]);
    await engine.worker();
    const failed = await engine.run(flow, 1);
    expect(failed.status).toBe("failed");
    broken = false;
    const [letter] = (await engine.millrace.deadLetters.list()).data;
    await engine.millrace.deadLetters.replay(letter!.id);
    await engine.events(failed.id, failed.seq);
    expect(await engine.millrace.runs.get(failed.id)).toMatchObject({ status: "completed", output: 1 });
  });

  test("is one for all who ask for it at the same time, and none where the function throws", async () => {
    let calls = 0;
    const flow = doing(async (ctx) => {
      const shared = await Promise.all([1, 2, 3].map(() => ctx.once("shared", async () => ++calls)));
      const outcomes: unknown[] = [];
      for (const fails of [true, false, true])
        outcomes.push(
          await ctx
            .once("flaky", () => {
              if (fails) throw new Error("no");
              return "yes";
            })
            .catch((error: Error) => error.message),
        );
      return { shared, outcomes };
    });
    await using engine = await engineUnderTest([flow]);
    await engine.worker();
    expect((await engine.run(flow, 1)).output).toEqual({ shared: [1, 1, 1], outcomes: ["no", "yes", "yes"] });
  });

  test("is each item's own", async () => {
    const flow = workflow("items", { input: any() }).map("item", {
      over: () => ["a", "b"],
      retry,
      run: async (letter, ctx) => {
        const kept = await ctx.once("letter", () => `${letter}${ctx.attempt}`);
        if (ctx.attempt === 1) throw new Error("not yet");
        return kept;
      },
    });
    await using engine = await engineUnderTest([flow]);
    await engine.worker();
    expect((await engine.run(flow, 1)).output).toEqual(["a1", "b1"]);
  });

  test("goes to the blob store if it is large", async () => {
    const large = "x".repeat(100_000);
    const flow = doing(async (ctx) => {
      const answer = await ctx.once("large", () => large);
      if (ctx.attempt === 1) throw new Error("not yet");
      return answer === large;
    });
    await using engine = await engineUnderTest([flow], { blobs: new FsBlobStore(await temporaryDir()) });
    await engine.worker();
    const run = await engine.run(flow, 1);
    expect(run.output).toBe(true);
    const keys = keysOf(engine, run.id);
    expect(await rawRedis().hget(keys.memos(run.id), "s||large")).toMatch(/^@/);
  });

  test.each<[string, (ctx: StepContext) => unknown, string]>([
    ["an empty name", (ctx) => ctx.once("", () => 1), "bad_once"],
    ["a long name", (ctx) => ctx.once("x".repeat(201), () => 1), "bad_once"],
    ["no function", (ctx) => ctx.once("x", 1 as never), "bad_once"],
    ["what JSON cannot hold", (ctx) => ctx.once("x", () => 1n), "not_json"],
  ])("is refused if it is %s", async (_, use, code) => {
    const flow = doing(use);
    await using engine = await engineUnderTest([flow]);
    await engine.worker();
    expect(await engine.run(flow, 1)).toMatchObject({
      status: "failed",
      error: { code },
      steps: { s: { attempt: 1 } },
    });
  });

  test("is not this attempt's to keep once it has lost its lease", async () => {
    const seen = Promise.withResolvers<unknown>();
    const redis = rawRedis();
    const flow = doing((ctx) => {
      if (ctx.attempt > 1) return "second";
      const stream = new NamespaceKeys(engine.namespace).partition(0).step({ workflow: "doing", version: 1 }, "s");
      const taken = ctx.once("answer", async () => {
        await redis.xclaim(stream, "workers", "another", 0, ctx.fence.split(":")[0]!);
      });
      taken.catch((error) => seen.resolve([error.code, ctx.signal.aborted]));
      return taken;
    });
    await using engine = await engineUnderTest([flow], { partitions: 1 });
    await engine.worker({ leaseMs: 60_000 });
    await engine.millrace.runs.start(flow, 1);
    expect(await seen.promise).toEqual(["lease_lost", true]);
  });
});

describe("a heartbeat that a handler asks for", () => {
  /** A step that waits until its entry has been taken from it, or has been idle for long, and then beats. */
  const beating = (claim: (stream: string, entry: string) => Promise<unknown>, namespace: () => string) => {
    const seen = Promise.withResolvers<unknown>();
    const redis = rawRedis();
    const flow = doing(async (ctx) => {
      const stream = new NamespaceKeys(namespace()).partition(0).step({ workflow: "doing", version: 1 }, "s");
      await claim(stream, ctx.fence.split(":")[0]!);
      try {
        for (let idle = Number.POSITIVE_INFINITY; idle > 10_000; ) {
          await ctx.heartbeat();
          [, , idle] = ((await redis.xpending(stream, "workers", "-", "+", 1)) as [string, string, number][])[0]!;
        }
        seen.resolve("renewed");
      } catch (error) {
        seen.resolve([(error as { code: string }).code, ctx.signal.aborted]);
        throw error;
      }
    });
    return { flow, seen: seen.promise };
  };

  test("renews the lease now", async () => {
    const redis = rawRedis();
    const claim = async (stream: string, entry: string) => {
      const [pending] = (await redis.xpending(stream, "workers", "-", "+", 1)) as [string, string][];
      await redis.xclaim(stream, "workers", pending![1], 0, entry, "IDLE", 50_000, "JUSTID");
    };
    const { flow, seen } = beating(claim, () => engine.namespace);
    await using engine = await engineUnderTest([flow], { partitions: 1 });
    // So long a lease that no other heartbeat comes in between.
    await engine.worker({ leaseMs: 100 * 60_000 });
    await engine.millrace.runs.start(flow, 1);
    expect(await seen).toBe("renewed");
  });

  test("throws if the lease is lost", async () => {
    const claim = (stream: string, entry: string) =>
      rawRedis().xclaim(stream, "workers", "another", 0, entry, "IDLE", 50_000);
    const { flow, seen } = beating(claim, () => engine.namespace);
    await using engine = await engineUnderTest([flow], { partitions: 1 });
    await engine.worker({ leaseMs: 100 * 60_000 });
    await engine.millrace.runs.start(flow, 1);
    expect(await seen).toEqual(["lease_lost", true]);
  });

  test("costs a step without one nothing, and one that is not waited for brings nobody down", async () => {
    const flow = doing((ctx) => {
      for (let i = 0; i < 100; i += 1) void ctx.heartbeat();
      void ctx.once("unawaited", () => {
        throw new Error("nobody hears");
      });
      return "done";
    });
    await using engine = await engineUnderTest([flow]);
    await engine.worker();
    expect(await engine.run(flow, 1)).toMatchObject({ output: "done" });
  });
});

test("what undoes a step remembers apart from it, across its own attempts", async () => {
  const calls: string[] = [];
  const flow = workflow("refund", { input: number() })
    .step("pay", {
      run: (n, ctx) => ctx.once("charge", () => calls.push("charge") + n),
      undoRetry: { baseMs: 0, maxMs: 0 },
      undo: async (_, ctx) => {
        await ctx.once("charge", () => calls.push("refund"));
        if (ctx.attempt === 1) throw new Error("the answer was lost");
      },
    })
    .step("fail", () => {
      throw new FatalError("no");
    });
  await using engine = await engineUnderTest([flow]);
  await engine.worker();
  expect(await engine.run(flow, 1)).toMatchObject({
    status: "failed",
    steps: { pay: { undo: { status: "completed" } } },
  });
  expect(calls).toEqual(["charge", "refund"]);
});
