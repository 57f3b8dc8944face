import { expect, test } from "vitest";
import { embeddings, gpu } from "../../../workflows/examples/embeddings.ts";
import { engineUnderTest } from "../../support/engine-under-test.ts";

test("texts of many runs are embedded in a few calls, and what is wrong with one is its own affair", async () => {
  await using engine = await engineUnderTest([embeddings], { partitions: 1 });
  gpu.calls = [];
  const texts = Array.from({ length: 16 }, (_, i) => (i === 3 ? "" : i === 5 ? "a busy text" : `text ${i}`));
  const start = async (text: string) => (await engine.millrace.runs.start(embeddings, { text })).id;
  const ids = await Promise.all(texts.map(start));
  await engine.worker();
  const runs = await Promise.all(ids.map((id) => engine.ended(id)));
  for (const [i, run] of runs.entries()) {
    if (i === 3) expect(run).toMatchObject({ status: "failed", error: { code: "empty_text" } });
    else expect(Math.hypot(...(run.output as number[]))).toBeCloseTo(1);
    if (i === 5) expect(run.steps.embed!.attempt).toBe(2);
  }
  // The one that was busy comes a second time.
  expect(gpu.calls.reduce((sum, size) => sum + size, 0)).toBe(17);
  expect(gpu.calls.length).toBeLessThan(17);
  const tokens = texts.reduce((sum, { length }) => sum + length, 0);
  expect(await engine.millrace.usage()).toMatchObject({ tokens });
});
