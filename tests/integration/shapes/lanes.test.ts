import * as v from "valibot";
import { expect, test } from "vitest";
import { FatalError, workflow } from "../../../engine/index.ts";
import { type EngineUnderTest, engineUnderTest } from "../../support/engine-under-test.ts";
import { rawRedis } from "../../support/redis.ts";
import { keysLike } from "../../support/redis-client.ts";

const input = v.object({ n: v.number() });

/** The steps' streams of a namespace that ever had an entry, without the version. */
async function used({ namespace }: EngineUnderTest): Promise<string[]> {
  const redis = rawRedis();
  const prefix = `{${namespace}:0}:step:`;
  const found: string[] = [];
  for (const key of await keysLike(redis, `${prefix}*`)) {
    const info = (await redis.xinfo("STREAM", key)) as unknown[];
    if (info[info.indexOf("last-generated-id") + 1] !== "0-0") found.push(key.slice(prefix.length).replace("@1", ""));
  }
  return found.sort();
}

test("every shape of step keeps to the run's lane, and a child run has its parent's priority", async () => {
  const inner = workflow("inner", { input }).step("twice", ({ n }) => n * 2);
  const wide = workflow("wide", { input })
    .map("map", { over: ({ n }) => Array.from({ length: n }, (_, i) => i), limit: 2, run: (i) => i })
    .repeat("loop", { max: 3, until: (_, turn) => turn === 1, run: (list) => list })
    .sleep("nap", 1)
    .waitFor("word", { schema: v.number() })
    .child("child", { workflow: inner, input: (n) => ({ n }) })
    .map("children", { over: (n) => [n, n + 1], workflow: inner, input: (n) => ({ n }) })
    .step("end", (list) => list);
  await using engine = await engineUnderTest([wide], { partitions: 1 });
  const { millrace } = engine;
  await engine.worker();
  const { id } = await millrace.runs.start(wide, { n: 5 }, { priority: "high" });
  await engine.until(id, ({ type, step }) => type === "step.started" && step === "word");
  await millrace.runs.signal(id, "word", 3);
  expect(await engine.ended(id)).toMatchObject({ status: "completed", priority: "high", output: [12, 14] });
  const children = (await millrace.runs.list({ workflow: "inner" })).data;
  expect(children.map(({ status, priority }) => [status, priority])).toEqual([
    ["completed", "high"],
    ["completed", "high"],
    ["completed", "high"],
  ]);
  const steps = ["child", "children", "end", "loop", "map", "nap", "word"];
  expect(await used(engine)).toEqual(["inner:twice:high", ...steps.map((step) => `wide:${step}:high`)]);
});

test("runs of one graph in different lanes are committed together, each in its own", async () => {
  const fork = workflow("fork", { input })
    .step("left", { after: [], run: ({ n }) => n })
    .step("right", { after: [], run: ({ n }) => -n })
    .step("join", { after: ["left", "right"], run: ({ left, right }) => left + right });
  await using engine = await engineUnderTest([fork], { partitions: 1 });
  const { millrace } = engine;
  const runs = [];
  for (const priority of ["high", "normal", "low"] as const)
    for (let n = 0; n < 20; n += 1) runs.push(await millrace.runs.start(fork, { n }, { priority }));
  await engine.worker();
  for (const { id } of runs) expect(await engine.ended(id)).toMatchObject({ status: "completed", output: 0 });
  const lanes = ["", ":high", ":low"];
  expect(await used(engine)).toEqual(["join", "left", "right"].flatMap((step) => lanes.map((l) => `fork:${step}${l}`)));
  expect((await millrace.queues()).map(({ depth, inFlight }) => depth + inFlight)).toEqual([0, 0, 0]);
});

test("cancelling and replaying find all of a run in its lane", async () => {
  let fails = true;
  const fork = workflow("fork", { input })
    .waitFor("word", { after: [], schema: v.number() })
    .map("map", {
      after: [],
      over: ({ n }) => [n, n],
      limit: 1,
      run: (n) => {
        if (fails) throw new FatalError("never");
        return n;
      },
    });
  await using engine = await engineUnderTest([fork], { partitions: 1 });
  const { millrace } = engine;
  await engine.worker();
  const { id } = await millrace.runs.start(fork, { n: 1 }, { priority: "low" });
  expect((await engine.ended(id)).status).toBe("failed");
  fails = false;
  const [letter] = (await millrace.deadLetters.list()).data;
  await millrace.deadLetters.replay(letter!.id);
  await engine.until(id, ({ type }) => type === "run.waiting");
  await millrace.runs.cancel(id);
  expect((await engine.ended(id)).steps).toMatchObject({
    map: { status: "completed", output: [1, 1] },
    word: { status: "cancelled" },
  });
  expect(await used(engine)).toEqual(["fork:map:low", "fork:word:low"]);
  expect((await millrace.queues()).map(({ depth, inFlight, delayed }) => [depth, inFlight, delayed])).toEqual([
    [0, 0, 0],
    [0, 0, 0],
  ]);
});
