import { any } from "valibot";
import { expect, test } from "vitest";
import { workflow } from "../../../engine/index.ts";
import { testKit } from "../../../engine/testing/index.ts";
import { kitOptions } from "../../support/kit.ts";

const MINUTE_MS = 60_000;

test("what waits for its rate comes through by the virtual clock", async () => {
  const paced = workflow("paced", { input: any() }).step("work", {
    limits: { rate: { count: 1, windowMs: 10 * MINUTE_MS } },
    run: () => "done",
  });
  await using kit = await testKit([paced], kitOptions());
  const runs = [await kit.start(paced, 0), await kit.start(paced, 1), await kit.start(paced, 2)];
  await kit.clock.settle();
  expect(await kit.millrace.runs.get(runs[2]!.id)).toMatchObject({ status: "waiting" });
  const ends: number[] = [];
  for (const run of runs) {
    const ended = await kit.ended(run);
    expect(ended).toMatchObject({ status: "completed", output: "done" });
    ends.push(Date.parse(ended.steps.work!.startedAt!));
  }
  expect(ends[2]! - ends[0]!).toBeGreaterThanOrEqual(20 * MINUTE_MS);
});
