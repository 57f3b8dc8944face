import { any } from "valibot";
import { afterEach, describe, expect, test } from "vitest";
import { FsBlobStore } from "../../engine/blobs/fs.ts";
import { type AnyWorkflow, type StepContext, workflow } from "../../engine/index.ts";
import { type EngineUnderTest, engineUnderTest } from "../support/engine-under-test.ts";
import { temporaryDir } from "../support/run.ts";

const input = any();
let bench: EngineUnderTest;
afterEach(() => bench[Symbol.asyncDispose]());

async function open(...workflows: AnyWorkflow[]): Promise<EngineUnderTest> {
  bench = await engineUnderTest(workflows);
  return bench;
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
    expect((await bench.run(odd, 1)).error?.message).toMatch(message);
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
    expect((await bench.run(echo, given)).output).toEqual(expected === undefined ? given : expected);
  });

  test("that are large go through the blob store", async () => {
    bench = await engineUnderTest([echo], { blobs: new FsBlobStore(await temporaryDir()) });
    await bench.worker();
    const given = { text: "x".repeat(200_000) };
    const run = await bench.run(echo, given);
    expect(run.output).toEqual(given);
    expect(run.input).toEqual(given);
  });
});
