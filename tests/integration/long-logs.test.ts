import * as v from "valibot";
import { expect, test } from "vitest";
import { workflow } from "../../engine/index.ts";
import { engineUnderTest } from "../support/engine-under-test.ts";

test("a run with more events than a script can return at once is watched from its first one", async () => {
  const talkative = workflow("talkative", { input: v.object({}) }).step("say", async (_, ctx) => {
    for (let i = 0; i < 9_000; i++) ctx.emit({ i });
  });
  await using engine = await engineUnderTest([talkative]);
  await engine.worker();
  const { id } = await engine.millrace.runs.start(talkative, {});
  expect(await engine.events(id)).toHaveLength(9_005);
  expect(await engine.events(id)).toHaveLength(9_005);
});
