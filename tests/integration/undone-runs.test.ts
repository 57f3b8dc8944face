import { any } from "valibot";
import { expect, test } from "vitest";
import { FatalError, workflow } from "../../engine/index.ts";
import { engineUnderTest } from "../support/engine-under-test.ts";

const input = any();
const fails = () => {
  throw new FatalError("no");
};

test("a dead letter of an undo shows the attempts of the undo, and takes no other input", async () => {
  const trip = workflow("trip", { input })
    .step("a", {
      run: (n: number, ctx) => {
        if (ctx.attempt === 1) throw new Error("of the step");
        return n + 1;
      },
      retry: { attempts: 2, baseMs: 0, maxMs: 0 },
      undo: (_, ctx) => {
        throw new Error(`of the undo ${ctx.attempt}`);
      },
    })
    .step("b", fails);
  await using engine = await engineUnderTest([trip]);
  await engine.worker();
  const { id } = await engine.run(trip, 1);
  const { deadLetters } = engine.millrace;
  const [letter] = (await deadLetters.list({ step: "a" })).data;
  const shown = await deadLetters.get(letter!.id);
  expect(shown).toMatchObject({ run: id, step: "a", undo: true, attempt: 2, input: 1 });
  expect(shown.history.map(({ error }) => error.message)).toEqual(["of the undo 1", "of the undo 2"]);
  await expect(deadLetters.replay(letter!.id, { input: 2 })).rejects.toMatchObject({ code: "input_of_undo" });
});

test("a run that was undone is run again from before what was undone", async () => {
  const done: string[] = [];
  const trip = workflow("trip", { input })
    .step("look", () => done.push("look"))
    .step("flight", { run: () => done.push("flight"), undo: () => done.push("no flight") })
    .step("hotel", () => done.push("hotel"))
    .step("card", () => {
      if (done.filter((each) => each === "hotel").length < 2) fails();
    })
    .step("beside", { after: ["look"], run: () => done.push("beside") });
  await using engine = await engineUnderTest([trip]);
  await engine.worker();
  const { runs } = engine.millrace;
  const { id } = await engine.run(trip, 1);
  await expect(runs.rerun(id, { from: "card" })).rejects.toMatchObject({
    code: "run_undone",
    message: expect.stringContaining("flight was undone"),
  });
  const again = await runs.rerun(id, { from: "flight" });
  expect(await engine.ended(again.id)).toMatchObject({ status: "completed" });
  expect(done.filter((each) => !each.endsWith("beside"))).toEqual([
    "look",
    "flight",
    "hotel",
    "no flight",
    "flight",
    "hotel",
  ]);
});

test("a run that is being undone is not deleted, and all its dead letters go with it when it is", async () => {
  const held = Promise.withResolvers<void>();
  const trip = workflow("trip", { input })
    .step("a", { run: () => 1, undo: () => held.promise })
    .step("b", { run: () => 2, undo: fails })
    .step("c", fails);
  await using engine = await engineUnderTest([trip]);
  await engine.worker();
  const { millrace } = engine;
  const { id } = await millrace.runs.start(trip, 1);
  await engine.until(id, ({ type, step, data }) => type === "step.started" && step === "a" && data !== undefined);
  await expect(millrace.runs.delete(id)).rejects.toMatchObject({ code: "run_live" });
  held.resolve();
  await engine.ended(id);
  expect((await millrace.deadLetters.list()).data).toHaveLength(2);
  await millrace.runs.delete(id);
  expect((await millrace.deadLetters.list()).data).toEqual([]);
  expect((await millrace.queues()).map(({ dead }) => dead)).toEqual([0, 0, 0]);
});
