import { context, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import {
  InMemorySpanExporter,
  NodeTracerProvider,
  type ReadableSpan,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-node";
import { any } from "valibot";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { FatalError, workflow } from "../../engine/index.ts";
import { engineUnderTest } from "../support/engine-under-test.ts";
import { Gates } from "../support/gates.ts";
import { rawRedis } from "../support/redis.ts";
import { keysOf } from "../support/run-keys.ts";

const exporter = new InMemorySpanExporter();
const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
beforeAll(() => provider.register());
beforeEach(() => exporter.reset());
afterAll(async () => {
  trace.disable();
  context.disable();
  await provider.shutdown();
});

const input = any();
const redis = rawRedis();
const named = (name: string) => exporter.getFinishedSpans().filter((span) => span.name === name);
const idsOf = (span: ReadableSpan) => ({
  trace: span.spanContext().traceId,
  parent: span.parentSpanContext?.spanId,
});
const isChildOf = (parent: ReadableSpan) => ({
  trace: parent.spanContext().traceId,
  parent: parent.spanContext().spanId,
});

describe("with an SDK in the process", () => {
  test("a run goes on from the span that is active, and its child run from the step that starts it", async () => {
    const inner = workflow("inner", { input }).step("own", (value) => value);
    const outer = workflow("outer", { input })
      .child("nested", { workflow: inner, input: (value) => value })
      .map("many", { over: () => [1, 2], workflow: inner, input: (value) => value });
    await using engine = await engineUnderTest([outer, inner]);
    await engine.worker();
    const caller = trace.getTracer("test").startSpan("caller");
    const { id } = await context.with(trace.setSpan(context.active(), caller), () =>
      engine.millrace.runs.start(outer, 1),
    );
    caller.end();
    expect(await engine.ended(id)).toMatchObject({ status: "completed" });
    const [started] = named("run outer");
    expect(idsOf(started!)).toEqual(isChildOf(named("caller")[0]!));
    const [begins, goesOn] = named("step outer/nested");
    expect([begins!, goesOn!].map((span) => span.attributes["millrace.outcome"])).toEqual(["waiting", "completed"]);
    for (const span of [begins!, goesOn!]) expect(idsOf(span)).toEqual(isChildOf(started!));
    const children = named("run inner");
    expect(children).toHaveLength(3);
    const starting = [
      begins!,
      ...named("step outer/many").filter(({ attributes }) => attributes["millrace.outcome"] === "waiting"),
    ];
    expect(children.map(idsOf)).toEqual(expect.arrayContaining(starting.map(isChildOf)));
    expect(named("step inner/own").map(idsOf)).toEqual(expect.arrayContaining(children.map(isChildOf)));
  });

  test("what wakes a step finds it in its run's trace", async () => {
    const waits = workflow("waits", { input })
      .sleep("pause", { for: 1 })
      .waitFor("early", { schema: any() })
      .waitFor("late", { schema: any() })
      .waitFor("never", { schema: any(), timeoutMs: 1 });
    await using engine = await engineUnderTest([waits]);
    await engine.worker();
    const { runs } = engine.millrace;
    const { id } = await runs.start(waits, 1);
    await runs.signal(id, "early", 1);
    await expect.poll(async () => (await runs.get(id)).steps.late?.status).toBe("waiting");
    await runs.signal(id, "late", 2);
    expect(await engine.ended(id)).toMatchObject({ status: "completed" });
    for (const name of ["pause", "early", "late", "never"]) {
      const spans = named(`step waits/${name}`);
      expect(spans.map(({ attributes }) => attributes["millrace.outcome"])).toEqual(["waiting", "completed"]);
      for (const span of spans) expect(idsOf(span)).toEqual(isChildOf(named("run waits")[0]!));
    }
  });

  test("items have their number, a failure that is a result is an error, and what only passes a gate has no span", async () => {
    const gates = new Gates();
    const listed = workflow("listed", { input }).map("each", {
      over: () => [1, 2],
      limits: { concurrency: 1 },
      onItemFailure: "collect",
      run: async (n, ctx) => {
        await gates.pass("go", ctx.signal);
        if (n === 2) throw new FatalError("two", { code: "is_two" });
        return n;
      },
    });
    await using engine = await engineUnderTest([listed], { partitions: 1 });
    await engine.worker();
    gates.open("go");
    const run = await engine.run(listed, 1);
    expect(run).toMatchObject({ status: "completed" });
    const spans = named("step listed/each");
    const short = ({ attributes, status }: ReadableSpan) => [
      attributes["millrace.item"],
      attributes["millrace.outcome"],
      status.code,
      attributes["error.type"],
    ];
    expect(spans.map(short)).toEqual([
      [undefined, "expanded", SpanStatusCode.UNSET, undefined],
      [0, "completed", SpanStatusCode.UNSET, undefined],
      [1, "failed", SpanStatusCode.ERROR, "is_two"],
    ]);
    for (const span of spans) expect(idsOf(span)).toEqual(isChildOf(named("run listed")[0]!));
  });

  test("a batch is worked on in the first one's trace, and the others are linked to that", async () => {
    const active: (string | undefined)[] = [];
    const told: (string | undefined)[] = [];
    const embed = workflow("embed", { input }).batch("all", {
      ...{ size: 3, waitMs: 5_000 },
      run: (inputs, ctxs) => {
        active.push(trace.getActiveSpan()?.spanContext().spanId);
        told.push(...ctxs.map(({ traceparent }) => traceparent));
        return inputs;
      },
    });
    await using engine = await engineUnderTest([embed]);
    await engine.worker();
    const started = await Promise.all([1, 2, 3].map((n) => engine.millrace.runs.start(embed, n)));
    for (const { id } of started) expect(await engine.ended(id)).toMatchObject({ status: "completed" });
    const spans = named("step embed/all");
    expect(new Set(spans.map((span) => idsOf(span).trace)).size).toBe(3);
    const [first, ...others] = told.map(
      (each) => spans.find((span) => span.spanContext().spanId === each!.split("-")[2])!,
    );
    expect(active).toEqual([first!.spanContext().spanId]);
    expect(first!.links).toEqual([]);
    for (const other of others) expect(other.links.map(({ context }) => context)).toEqual([first!.spanContext()]);
  });

  test("a tick begins a trace, whatever was active where its worker was started", async () => {
    const report = workflow("report", { input }).step("write", (value) => value);
    await using engine = await engineUnderTest([report]);
    const { schedules, runs } = engine.millrace;
    await schedules.create({ name: "often", workflow: report, input: 1, every: 1_000 });
    const caller = trace.getTracer("test").startSpan("caller");
    await context.with(trace.setSpan(context.active(), caller), () => engine.worker());
    await expect.poll(() => named("step report/write").length, { timeout: 10_000 }).toBeGreaterThan(1);
    await schedules.delete("often");
    const starts = named("run report");
    expect(starts.map(({ kind, parentSpanContext }) => [kind, parentSpanContext])).toEqual(
      starts.map(() => [SpanKind.PRODUCER, undefined]),
    );
    const traces = new Set(starts.map((span) => span.spanContext().traceId));
    expect(traces.size).toBe(starts.length);
    expect(traces).not.toContain(caller.spanContext().traceId);
    const [written] = named("step report/write");
    expect(idsOf(written!)).toEqual(isChildOf(starts[0]!));
    caller.end();
    expect((await runs.list()).data.length).toBeGreaterThan(0);
  });

  test("a start that is refused is an error of its span, and one that gives an earlier run says so", async () => {
    const plain = workflow("plain", { input: any() }).step("a", (value) => value);
    await using engine = await engineUnderTest([plain]);
    const { runs } = engine.millrace;
    await expect(runs.start(plain, 1, { tags: ["no tag"] })).rejects.toThrow();
    const [refused] = named("run plain");
    expect(refused).toMatchObject({
      status: { code: SpanStatusCode.ERROR },
      attributes: { "error.type": "invalid_input" },
    });
    const idempotency = { scope: "s", key: "k", digest: "d" };
    const { id } = await runs.start(plain, 1, { idempotency });
    await runs.start(plain, 1, { idempotency });
    const [, first, second] = named("run plain");
    expect(first!.attributes).toMatchObject({ "millrace.run.id": id, "millrace.run.created": true });
    expect(second!.attributes).toMatchObject({ "millrace.run.id": id, "millrace.run.created": false });
    // It is the first one's trace that the run is of.
    expect(await redis.hget(keysOf(engine, id).run(id), "trace")).toContain(first!.spanContext().spanId);
    await expect(runs.start("unheard-of", 1)).rejects.toThrow();
    expect(named("run unheard-of")).toEqual([]);
  });
});
