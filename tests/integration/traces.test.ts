import { any } from "valibot";
import { describe, expect, test } from "vitest";
import { type AnyWorkflow, FatalError, type StepContext, workflow } from "../../engine/index.ts";
import { type EngineUnderTest, engineUnderTest } from "../support/engine-under-test.ts";
import { Gates } from "../support/gates.ts";
import { rawRedis } from "../support/redis.ts";
import { keysOf } from "../support/run-keys.ts";

const input = any();
const TRACE = {
  traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
  tracestate: "vendor=x y|z%20,other=1",
};
const redis = rawRedis();

/** What the handlers of a test have seen of their trace. */
class Seen {
  readonly attempts: string[] = [];
  readonly others: unknown[] = [];

  note({ step, item, attempt, traceparent, tracestate }: StepContext): void {
    this.attempts.push(`${step}${item === undefined ? "" : ` ${item}`} ${attempt}`);
    if (traceparent !== TRACE.traceparent || tracestate !== TRACE.tracestate)
      this.others.push({ step, item, attempt, traceparent, tracestate });
  }

  /** For a handler that fails at its first attempts, and then hands its input on. */
  failing(times = 0) {
    return <T>(value: T, ctx: StepContext): T => {
      this.note(ctx);
      if (ctx.attempt <= times) throw new Error(`attempt ${ctx.attempt}`);
      return value;
    };
  }
}

const soon = { attempts: 3, baseMs: 0, maxMs: 0 };
const tracedRun = async (engine: EngineUnderTest, definition: AnyWorkflow, value: unknown) =>
  (await engine.millrace.runs.start(definition, value, TRACE)).id;

describe("every attempt is told its run's trace", () => {
  test("of a chain, at once and when tried again, and in lanes", async () => {
    const seen = new Seen();
    const chain = workflow("chain", { input })
      .step("a", seen.failing())
      .step("b", { retry: soon, run: seen.failing(2) })
      .step("c", seen.failing());
    await using engine = await engineUnderTest([chain]);
    await engine.worker();
    for (const value of ["small", "l".repeat(1_000)])
      for (const priority of ["normal", "high"] as const) {
        const { id } = await engine.millrace.runs.start(chain, value, { ...TRACE, priority });
        expect(await engine.ended(id)).toMatchObject({ status: "completed", output: value });
      }
    const attempts = ["a 1", "b 1", "b 2", "b 3", "c 1"];
    expect(seen.attempts).toEqual([...attempts, ...attempts, ...attempts, ...attempts]);
    expect(seen.others).toEqual([]);
  });

  test("of branches, joins, maps and loops", async () => {
    const seen = new Seen();
    const graph = workflow("graph", { input })
      .step("left", { after: [], run: seen.failing() })
      .step("right", { after: [], when: () => true, run: seen.failing() })
      .map("each", { after: ["left", "right"], over: () => [1, 2, 3, 4], limit: 2, run: seen.failing() })
      .repeat("turn", { run: seen.failing(), until: (_, turn) => turn === 1, max: 3 });
    await using engine = await engineUnderTest([graph]);
    await engine.worker();
    expect(await engine.ended(await tracedRun(engine, graph, 1))).toMatchObject({ status: "completed" });
    const items = [0, 1, 2, 3].map((item) => `each ${item} 1`);
    expect(seen.attempts.sort()).toEqual([...items, "left 1", "right 1", "turn 0 1", "turn 1 1"]);
    expect(seen.others).toEqual([]);
  });

  test("of what waits: for a start, a sleep, a signal, a child run", async () => {
    const seen = new Seen();
    const inner = workflow("inner", { input }).step("own", seen.failing());
    const waits = workflow("waits", { input })
      .step("a", seen.failing())
      .sleep("pause", { for: 1 })
      .step("b", seen.failing())
      .waitFor("early", { schema: any() })
      .waitFor("late", { schema: any() })
      .step("c", seen.failing())
      .child("child", { workflow: inner, input: (value) => value })
      .step("d", seen.failing());
    await using engine = await engineUnderTest([waits]);
    await engine.worker();
    const { runs } = engine.millrace;
    const { id } = await runs.start(waits, 1, { ...TRACE, delayMs: 20 });
    await runs.signal(id, "early", 2);
    await expect.poll(async () => (await runs.get(id)).steps.late?.status).toBe("waiting");
    await runs.signal(id, "late", 3);
    expect(await engine.ended(id)).toMatchObject({ status: "completed", output: 3 });
    expect(seen.attempts).toEqual(["a 1", "b 1", "c 1", "own 1", "d 1"]);
    expect(seen.others).toEqual([]);
  });

  test("of steps with limits, whether they have their slot at once or wait for one", async () => {
    const seen = new Seen();
    const gates = new Gates();
    const limited = workflow("limited", { input })
      .step("first", {
        limits: { key: () => "k", concurrency: 1 },
        run: async (value, ctx) => {
          seen.note(ctx);
          await gates.pass(`${value}`, ctx.signal);
          return [value, value];
        },
      })
      .map("each", { over: (list) => list, limits: { concurrency: 1 }, retry: soon, run: seen.failing(1) });
    await using engine = await engineUnderTest([limited], { partitions: 1 });
    await engine.worker();
    const ids: string[] = [];
    for (let n = 0; n < 3; n += 1) {
      ids.push(await tracedRun(engine, limited, n));
      if (n > 0) await engine.until(ids[n]!, ({ type }) => type === "run.waiting");
    }
    for (let n = 0; n < 3; n += 1) gates.open(`${n}`);
    for (const id of ids) expect(await engine.ended(id)).toMatchObject({ status: "completed" });
    expect(seen.attempts.filter((each) => each === "first 1")).toHaveLength(3);
    expect(seen.attempts.filter((each) => each.startsWith("each"))).toHaveLength(12);
    expect(seen.others).toEqual([]);
  });

  test("after a replay, after an undo that is tried again, and of a run that is begun anew in the middle", async () => {
    const seen = new Seen();
    let isBroken = true;
    const trip = workflow("trip", { input })
      .step("book", {
        run: seen.failing(),
        undoRetry: soon,
        undo: (_, ctx) => {
          seen.note(ctx);
          if (ctx.attempt === 1) throw new Error("again");
        },
      })
      .step("pay", () => {
        throw new FatalError("no money");
      });
    const plain = workflow("plain", { input })
      .step("a", seen.failing())
      .step("b", (value, ctx) => {
        seen.note(ctx);
        if (isBroken) throw new FatalError("broken");
        return value;
      });
    await using engine = await engineUnderTest([trip, plain]);
    await engine.worker();
    const { runs, deadLetters } = engine.millrace;
    const id = await tracedRun(engine, plain, 1);
    expect(await engine.ended(id)).toMatchObject({ status: "failed" });
    isBroken = false;
    await deadLetters.replay((await deadLetters.list({ workflow: "plain" })).data[0]!.id);
    await expect.poll(async () => (await runs.get(id)).status).toBe("completed");
    const again = await runs.rerun(id, { from: "b", ...TRACE });
    expect(await engine.ended(again.id)).toMatchObject({ status: "completed" });
    expect(seen.attempts).toEqual(["a 1", "b 1", "b 1", "b 1"]);

    expect(await engine.ended(await tracedRun(engine, trip, 1))).toMatchObject({ status: "failed" });
    expect(seen.attempts.slice(4)).toEqual(["book 1", "book 1", "book 2"]);
    expect(seen.others).toEqual([]);
  });

  test("after it was given back by a worker that stops", async () => {
    const seen = new Seen();
    const gates = new Gates();
    const pass = (name: string) => async (_: unknown, ctx: StepContext) => {
      seen.note(ctx);
      await gates.pass(name, ctx.signal);
    };
    const held = workflow("held", { input })
      .step("do", { run: pass("do"), undo: pass("undo") })
      .step("fail", () => {
        throw new FatalError("no");
      });
    await using engine = await engineUnderTest([held]);
    const handOver = async (began: number, gate: string) => {
      const worker = await engine.worker({ drainMs: 0 });
      await expect.poll(() => seen.attempts.length).toBe(began);
      await worker.stop();
      gates.open(gate);
    };
    const id = await tracedRun(engine, held, 1);
    await handOver(1, "do");
    // The second goes on to the undo, and gives that back.
    await handOver(3, "undo");
    await engine.worker();
    expect(await engine.ended(id)).toMatchObject({ status: "failed" });
    expect(seen).toMatchObject({ attempts: ["do 1", "do 1", "do 1", "do 1"], others: [] });
  });

  test("after its entry was lost, or moved to another version", async () => {
    const seen = new Seen();
    const of = (version: number) =>
      workflow("moved", { version, input }).step("a", seen.failing()).step(`only${version}`, seen.failing());
    await using engine = await engineUnderTest([of(1)]);
    const lost = await tracedRun(engine, of(1), 1);
    await redis.del(keysOf(engine, lost).step({ workflow: "moved", version: 1 }, "a"));
    const worker = await engine.worker();
    await worker.reconcile();
    expect(await engine.ended(lost)).toMatchObject({ status: "completed" });
    await worker.stop();
    const old = await tracedRun(engine, of(1), 2);
    await using newer = await engineUnderTest([of(2)], { namespace: engine.namespace });
    expect(await newer.millrace.migrate({ workflow: "moved", from: 1 }, () => ({ at: "a" }))).toMatchObject({
      moved: 1,
    });
    await newer.worker();
    expect(await newer.ended(old)).toMatchObject({ status: "completed", version: 2 });
    expect(seen.attempts).toEqual(["a 1", "only1 1", "a 1", "only2 1"]);
    expect(seen.others).toEqual([]);
  });
});

describe("what is stored", () => {
  const two = workflow("two", { input })
    .step("a", (value) => value)
    .step("b", (value) => value);
  /** Of a run that nobody works on: its fields, and the fields and the size in bytes of its first step's entry. */
  const stored = async (options: object) => {
    await using engine = await engineUnderTest([two]);
    const { id } = await engine.millrace.runs.start(two, "", options);
    const keys = keysOf(engine, id);
    const stream = keys.step({ workflow: "two", version: 1 }, "a");
    const [[, fields]] = (await redis.xrange(stream, "-", "+")) as [[string, string[]]];
    const record = await redis.hgetall(keys.run(id));
    // What one takes shows where there are many.
    for (let i = 0; i < 200; i += 1) await redis.xadd(stream, "*", ...fields);
    const bytes = (await redis.memory("USAGE", stream, "SAMPLES", 0))! / 200;
    const log = await redis.lrange(keys.log(id), 0, -1);
    return { record, bytes, log, names: fields.filter((_, i) => i % 2 === 0), text: fields.join("") };
  };

  test("without a trace is nothing more", async () => {
    for (const options of [{}, { traceparent: "garbage", tracestate: TRACE.tracestate }, { tracestate: "a=1" }]) {
      const { record, names, text } = await stored(options);
      expect(Object.keys(record)).not.toContain("trace");
      expect(names).toEqual(["run", "tenant", "input"]);
      expect(text.length).toBeLessThan(60);
    }
  });

  test("with one it is once with the run, and goes along with entries, which stay under 300 bytes", async () => {
    const none = await stored({});
    const { record, names, text, bytes, log } = await stored({ ...TRACE, tracestate: `a=${"v".repeat(94)}` });
    expect(record.trace).toBe(`${TRACE.traceparent};a=${"v".repeat(94)}`);
    expect(names.sort()).toEqual(["input", "run", "tenant", "trace"]);
    expect(text).toContain(record.trace);
    expect(bytes).toBeLessThan(300);
    expect(bytes).toBeGreaterThan(none.bytes);
    expect(log.join()).not.toContain(TRACE.traceparent);
    expect(await stored(TRACE)).toMatchObject({
      record: { trace: `${TRACE.traceparent};vendor=x%20y%7Cz%2520,other=1` },
    });
  });

  test("by the first start of a key is that one's", async () => {
    await using engine = await engineUnderTest([two]);
    const idempotency = { scope: "s", key: "k", digest: "d" };
    const start = (options: object) => engine.millrace.runs.start(two, 1, { idempotency, ...options });
    const { id } = await start(TRACE);
    expect(await start({ traceparent: TRACE.traceparent.replace("b7", "b8") })).toMatchObject({ id, created: false });
    expect(await redis.hget(keysOf(engine, id).run(id), "trace")).toMatch(/-b7ad6b7169203331-/);
  });
});
