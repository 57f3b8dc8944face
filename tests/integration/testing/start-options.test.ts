import * as v from "valibot";
import { expect, test } from "vitest";
import { workflow } from "../../../engine/index.ts";
import { testKit } from "../../../engine/testing/index.ts";
import { kitOptions } from "../../support/kit.ts";

const DAY_MS = 86_400_000;
const ms = (time: string | undefined) => Date.parse(time!);
const fan = workflow("fan", { input: v.null() })
  .step("left", { after: [], run: () => 1 })
  .step("right", { after: [], run: () => 2 });
const asleep = workflow("asleep", { input: v.null(), deadlineMs: DAY_MS }).sleep("rest", 3 * DAY_MS);
const parent = workflow("parent", { input: v.null() }).child("inner", { workflow: asleep, input: () => null });

test("a delayed start, a time to start and a child's deadline go by the kit's clock", async () => {
  await using kit = await testKit([fan, parent], kitOptions());
  const delayed = await kit.run(fan, null, { delayMs: DAY_MS });
  expect(delayed).toMatchObject({ status: "completed", output: { left: 1, right: 2 } });
  expect(ms(delayed.steps.left!.startedAt) - ms(delayed.createdAt)).toBeGreaterThanOrEqual(DAY_MS);

  await kit.clock.jump("200 days");
  const runAt = new Date((await kit.clock.now()).getTime() + 300 * DAY_MS);
  expect(await kit.run(fan, null, { runAt })).toMatchObject({ status: "completed", startsAt: runAt.toISOString() });
  const past = new Date((await kit.clock.now()).getTime() + 366 * DAY_MS);
  await expect(kit.start(fan, null, { runAt: past })).rejects.toMatchObject({ code: "invalid_input" });

  const failed = await kit.run(parent, null);
  expect(failed).toMatchObject({ status: "failed", error: { cause: { code: "run_deadline" } } });
  expect(ms(failed.endedAt) - ms(failed.createdAt)).toBeGreaterThanOrEqual(DAY_MS);
  expect(ms(failed.endedAt) - ms(failed.createdAt)).toBeLessThan(2 * DAY_MS);
});

test("a run that is held to a deadline of its own goes to that, and starts of one key to one run", async () => {
  await using kit = await testKit([fan, asleep], kitOptions());
  expect(await kit.run(asleep, null, { deadlineMs: 4 * DAY_MS })).toMatchObject({ status: "completed" });
  const dedupe = { key: "k", mode: "debounce", windowMs: DAY_MS } as const;
  const first = await kit.start(fan, null, { dedupe });
  await kit.clock.advance("12 hours");
  expect(await kit.start(fan, null, { dedupe })).toMatchObject({ id: first.id, created: false });
  const run = await kit.ended(first);
  expect(ms(run.startsAt) - ms(run.createdAt)).toBeGreaterThanOrEqual(1.5 * DAY_MS);
});
