import * as v from "valibot";
import { describe, expect, test } from "vitest";
import { FatalError, workflow } from "../../../engine/index.ts";
import { engineUnderTest } from "../../support/engine-under-test.ts";

const input = v.object({ n: v.number() });

const diamond = workflow("diamond", { input })
  .step("start", ({ n }) => n)
  .step("double", { after: ["start"], run: (n) => 2 * n })
  .step("square", { after: ["start"], run: (n) => n * n })
  .step("sum", { after: ["double", "square"], run: ({ double, square }) => double + square });

describe("a graph", () => {
  test("a join is given the outputs of all that it comes after, and runs once", async () => {
    await using engine = await engineUnderTest([diamond]);
    await engine.worker();
    const runs = await Promise.all(Array.from({ length: 50 }, (_, n) => engine.millrace.runs.start(diamond, { n })));
    for (const [n, { id }] of runs.entries()) {
      const events = await engine.events(id);
      expect(events.filter((event) => event.type === "step.started" && event.step === "sum")).toHaveLength(1);
      expect(await engine.millrace.runs.get(id)).toMatchObject({ status: "completed", output: 2 * n + n * n });
    }
  });

  test("several steps that nothing comes after: the run ends with the last, and has all their outputs", async () => {
    const fan = workflow("fan", { input })
      .step("a", { after: [], run: ({ n }) => n })
      .step("b", { after: [], run: ({ n }) => `${n}` })
      .step("c", { after: ["a"], run: (n) => [n] });
    await using engine = await engineUnderTest([fan]);
    await engine.worker();
    expect(await engine.run(fan, { n: 3 })).toMatchObject({ status: "completed", output: { b: "3", c: [3] } });
  });
});

describe("a branch", () => {
  const branch = workflow("branch", { input })
    .step("start", ({ n }) => n)
    .step("small", { after: ["start"], when: (n) => n < 10, run: (n) => `small ${n}` })
    .step("big", { after: ["start"], when: (n) => n >= 10, run: (n) => `big ${n}` })
    .step("bigger", { after: ["big"], run: (text) => `${text}!` })
    .step("end", { after: ["small", "bigger"], run: (given) => given });

  test.each([
    [1, { small: "small 1" }, ["big", "bigger"]],
    [10, { bigger: "big 10!" }, ["small"]],
  ])(
    "with %d: what is not taken is skipped, and so is what only it leads to; the join has what there is",
    async (n, output, skipped) => {
      await using engine = await engineUnderTest([branch]);
      await engine.worker();
      const run = await engine.run(branch, { n });
      expect(run).toMatchObject({ status: "completed", output });
      for (const step of skipped) expect(run.steps[step]).toMatchObject({ status: "skipped" });
      const events = await engine.events(run.id);
      expect(events.filter((event) => event.type === "step.skipped").map((event) => event.step)).toEqual(skipped);
      expect(events.filter((event) => skipped.includes(event.step ?? "") && event.type !== "step.skipped")).toEqual([]);
    },
  );

  test("a run of which nothing is taken completes with nothing", async () => {
    const none = workflow("none", { input })
      .step("never", { when: () => false, run: () => 1 })
      .step("after", (one) => one + 1);
    await using engine = await engineUnderTest([none]);
    await engine.worker();
    const run = await engine.run(none, { n: 1 });
    expect(run).toMatchObject({
      status: "completed",
      steps: { never: { status: "skipped" }, after: { status: "skipped" } },
    });
    expect(run.output).toBeUndefined();
  });

  test("a condition that throws is a failure of its step", async () => {
    const bad = workflow("bad", { input }).step("a", {
      when: () => {
        throw new FatalError("cannot say");
      },
      run: () => 1,
    });
    await using engine = await engineUnderTest([bad]);
    await engine.worker();
    expect(await engine.run(bad, { n: 1 })).toMatchObject({ status: "failed", error: { message: "cannot say" } });
  });
});
