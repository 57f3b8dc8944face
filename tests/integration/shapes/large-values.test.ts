import { readdir } from "node:fs/promises";
import * as v from "valibot";
import { afterEach, beforeEach, expect, expectTypeOf, test } from "vitest";
import { FsBlobStore } from "../../../engine/blobs/fs.ts";
import { type AnyWorkflow, FatalError, workflow } from "../../../engine/index.ts";
import { type EngineUnderTest, engineUnderTest } from "../../support/engine-under-test.ts";
import { temporaryDir } from "../../support/run.ts";

const PAD = "x".repeat(40_000);
const page = v.object({ n: v.number(), pad: v.string() });
type PageText = v.InferOutput<typeof page>;
const large = (n: number): PageText => ({ n, pad: PAD });

let dir: string;
let engine: EngineUnderTest;
beforeEach(async () => {
  dir = await temporaryDir();
});
afterEach(() => engine[Symbol.asyncDispose]());

async function open(...workflows: AnyWorkflow[]): Promise<EngineUnderTest["millrace"]["runs"]> {
  engine = await engineUnderTest(workflows, { blobs: new FsBlobStore(dir) });
  await engine.worker();
  return engine.millrace.runs;
}

const files = async () =>
  (await readdir(dir, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile()).length;

/** Every run, the newest first, so that parents are deleted before their children. */
async function deleteAll(): Promise<void> {
  const { runs } = engine.millrace;
  for (const { id } of (await runs.list({ limit: 100 })).data.reverse()) await runs.delete(id);
}

test("what a child run is given and comes to is typed, and outlives the child", async () => {
  const child = workflow("child", { input: page }).step("next", ({ n }) => large(n + 1));
  const parent = workflow("parent", { input: page })
    .child("one", { workflow: child, input: (given) => given })
    .map("each", { over: (one) => [one, one], workflow: child, input: (given: PageText) => given })
    .step("sum", {
      after: ["one", "each"],
      run: ({ one, each }) => {
        expectTypeOf(one).toEqualTypeOf<PageText>();
        expectTypeOf(each).toEqualTypeOf<PageText[]>();
        return each.map(({ n, pad }) => n * pad.length);
      },
    });
  const runs = await open(child, parent);
  const ended = await engine.run(parent, large(1));
  expect(ended).toMatchObject({ status: "completed", output: [120_000, 120_000], input: large(1) });
  for (const { id } of (await runs.list({ workflow: "child" })).data) {
    expect(await runs.get(id)).toMatchObject({ input: { pad: PAD }, output: { pad: PAD } });
    await runs.delete(id);
  }
  expect(await runs.get(ended.id)).toEqual(ended);
  expect((await runs.items(ended.id, "each")).data).toMatchObject([{ output: large(3) }, { output: large(3) }]);
  await runs.delete(ended.id);
  expect(await files()).toBe(0);
});

test("what a signal brings is, whether it comes before its wait or after", async () => {
  const flow = workflow("flow", { input: v.any() })
    .waitFor("first", { schema: page })
    .waitFor("second", { schema: page, timeoutMs: 60_000 })
    .step("both", {
      after: ["first", "second"],
      run: ({ first, second }) => [first.n, second.timedOut ? 0 : second.data],
    });
  const runs = await open(flow);
  const { id } = await runs.start(flow, null);
  await runs.signal(id, "second", large(2));
  await engine.until(id, ({ type }) => type === "run.waiting");
  await runs.signal(id, "first", large(1), { key: "k" });
  await runs.signal(id, "first", large(1), { key: "k" });
  await expect(runs.signal(id, "first", large(3))).rejects.toMatchObject({ code: "signal_settled" });
  expect(await engine.ended(id)).toMatchObject({ output: [1, large(2)], steps: { first: { output: large(1) } } });
  await deleteAll();
  expect(await files()).toBe(0);
});

test("a dead letter shows it, of a step and of an item; another comes with the replay", async () => {
  let broken = true;
  const flow = workflow("flow", { input: page })
    .step("one", {
      run: (given) => {
        if (given.n === 1) throw new FatalError("no");
        return given;
      },
    })
    .map("each", {
      over: (given) => [given],
      run: (given) => {
        if (broken) throw new FatalError("no");
        return given.n;
      },
    });
  const runs = await open(flow);
  const { id } = await engine.run(flow, large(1));
  const { deadLetters } = engine.millrace;
  const [letter] = (await deadLetters.list()).data;
  expect(await deadLetters.get(letter!.id)).toMatchObject({ step: "one", input: large(1) });
  await deadLetters.replay(letter!.id, { input: large(2) });
  await engine.until(id, ({ type, step }) => type === "step.failed" && step === "each");
  const [item] = (await deadLetters.list()).data;
  expect(await deadLetters.get(item!.id)).toMatchObject({ step: "each", item: 0, input: large(2) });
  broken = false;
  await deadLetters.replay(item!.id);
  await engine.until(id, ({ type }) => type === "run.completed");
  expect(await runs.get(id)).toMatchObject({ status: "completed", output: [2] });
  await deleteAll();
  expect(await files()).toBe(0);
});

test("a rerun has the results of a map, and what it is given by hand, without the run that it is of", async () => {
  const flow = workflow("flow", { input: page })
    .map("each", { over: (given) => [given, given], run: (given) => given })
    .step("add", (list) => large(list.reduce((sum, { n }) => sum + n, 0)))
    .step("end", ({ n, pad }) => ({ n, pad }));
  const runs = await open(flow);
  const first = await engine.run(flow, large(4));
  const second = await engine.ended((await runs.rerun(first.id, { from: "add" })).id);
  await runs.delete(first.id);
  expect(await runs.get(second.id)).toMatchObject({
    output: large(8),
    steps: { each: { output: [large(4), large(4)] } },
  });
  const third = await engine.ended((await runs.rerun(second.id, { from: "end", input: large(9) })).id);
  await runs.delete(second.id);
  expect(await runs.get(third.id)).toMatchObject({
    input: large(4),
    output: large(9),
    steps: { add: { output: large(8) } },
  });
  const last = await engine.ended((await runs.rerun(third.id, { from: "end" })).id);
  await runs.delete(third.id);
  expect(last).toMatchObject({ output: large(9) });
  await deleteAll();
  expect(await files()).toBe(0);
});

test("what is undone is given both, and a sleep and a loop pass them on", async () => {
  const undone: unknown[] = [];
  const flow = workflow("flow", { input: page })
    .step("make", { run: ({ n }) => large(n + 1), undo: ({ input, output }) => void undone.push(input, output) })
    .sleep("rest", 1)
    .repeat("turn", { run: ({ n }) => large(n + 1), until: ({ n }) => n > 4, max: 9 })
    .step("end", ({ n }) => {
      throw new FatalError(`${n}`);
    });
  const runs = await open(flow);
  const ended = await engine.run(flow, large(1));
  expect(ended).toMatchObject({ status: "failed", error: { message: "5" }, steps: { turn: { output: large(5) } } });
  expect(undone).toEqual([large(1), large(2)]);
  await runs.delete(ended.id);
  expect(await files()).toBe(0);
});
