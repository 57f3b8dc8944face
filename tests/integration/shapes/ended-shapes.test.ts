import * as v from "valibot";
import { expect, test } from "vitest";
import { FatalError, workflow } from "../../../engine/index.ts";
import { engineUnderTest } from "../../support/engine-under-test.ts";
import { leftovers, redisUrl } from "../../support/redis.ts";

const input = v.object({ n: v.number() });

test("a run is deleted with its items", async () => {
  const items = workflow("items", { input })
    .map("map", { over: ({ n }) => Array.from({ length: n }, (_, i) => i), run: (i) => i })
    .step("sum", (all) => ({ left: all.length }))
    .repeat("loop", { run: ({ left }) => ({ left: left - 1 }), until: ({ left }) => left <= 0, max: 500 });
  await using engine = await engineUnderTest([items]);
  await engine.worker();
  const { id } = await engine.millrace.runs.start(items, { n: 250 }, { tags: ["blue"] });
  await engine.ended(id);
  const ofRun = async () => (await leftovers(redisUrl, engine.namespace)).filter((key) => key.includes(id));
  // Three chunks of each, and what is kept of live items, of which there are none.
  expect(await ofRun()).toHaveLength(2 + 3 + 3);
  await engine.millrace.runs.delete(id);
  expect(await ofRun()).toEqual([]);
  expect((await leftovers(redisUrl, engine.namespace)).filter((key) => key.includes("blue"))).toEqual([]);
});

test("a run begins again behind a map with the map's results, also when the first one is gone", async () => {
  let broken = true;
  const sums = workflow("sums", { input })
    .map("map", { over: ({ n }) => Array.from({ length: n }, (_, i) => i), run: (i) => i })
    .step("sum", (all) => {
      if (broken) throw new FatalError("not yet");
      return all.reduce((sum, i) => sum + i, 0);
    });
  await using engine = await engineUnderTest([sums]);
  await engine.worker();
  const { id } = await engine.run(sums, { n: 120 });
  broken = false;
  const again = await engine.millrace.runs.rerun(id, { from: "sum" });
  await engine.millrace.runs.delete(id);
  expect(await engine.ended(again.id)).toMatchObject({ status: "completed", output: 7_140 });
});

test("a run begins again on one side of a join, which is given the other side as it was", async () => {
  let times = 0;
  const diamond = workflow("diamond", { input })
    .step("start", ({ n }) => n)
    .step("left", { after: ["start"], run: (n) => n + ++times })
    .step("right", { after: ["start"], when: (n) => n > 1, run: (n) => -n })
    .step("other", { after: ["start"], run: () => "aside" })
    .step("join", { after: ["left", "right"], run: (given) => given });
  await using engine = await engineUnderTest([diamond]);
  await engine.worker();
  const { id } = await engine.run(diamond, { n: 1 });
  const again = await engine.millrace.runs.rerun(id, { from: "left" });
  const run = await engine.ended(again.id);
  expect(run).toMatchObject({ status: "completed", output: { join: { left: 3 }, other: "aside" } });
  expect(run.steps.right).toMatchObject({ status: "skipped" });
});
