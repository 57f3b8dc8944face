import { any } from "valibot";
import { expect, test } from "vitest";
import { workflow } from "../../../engine/index.ts";
import { testKit } from "../../../engine/testing/index.ts";
import { kitOptions } from "../../support/kit.ts";

const MINUTE_MS = 60_000;

const paced = workflow("paced", { input: any() }).step("work", {
  limits: { rate: { count: 1, windowMs: 10 * MINUTE_MS } },
  run: () => "done",
});

test("what waits for its rate comes through by the virtual clock", async () => {
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

test("a run that has not started by the end of its time to live fails, whatever it waits for", async () => {
  const plain = workflow("plain", { input: any() }).step("work", () => "done");
  await using kit = await testKit([paced, plain], kitOptions());
  const expired = {
    status: "failed",
    error: { code: "expired" },
    steps: { work: { status: "cancelled", attempt: 0 } },
  };
  await kit.run(paced, 0);
  expect(await kit.run(paced, 1, { ttlMs: MINUTE_MS })).toMatchObject(expired);
  expect(await kit.run(paced, 2, { ttlMs: 20 * MINUTE_MS })).toMatchObject({ status: "completed" });

  await kit.millrace.pause({ tenant: "default" });
  // It is parked as its turn comes, or is run if the worker has not heard of the pause by then.
  const parked = await parkedRun();
  await kit.clock.advance("1 minute");
  expect(await kit.ended(parked)).toMatchObject(expired);

  async function parkedRun(): Promise<string> {
    for (;;) {
      const { id } = await kit.start(plain, 0, { ttlMs: MINUTE_MS });
      await kit.clock.settle();
      if ((await kit.millrace.runs.summary(id)).status === "waiting") return id;
    }
  }
});
