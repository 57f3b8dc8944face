import * as v from "valibot";
import { expect, test } from "vitest";
import { workflow } from "../../engine/index.ts";
import { engineUnderTest } from "../support/engine-under-test.ts";
import { rawRedis } from "../support/redis.ts";

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

test("a log of large events stays near its cap in bytes, and who watches from the start is told so", async () => {
  const large = workflow("large", { input: v.object({}) }).step("say", async (_, ctx) => {
    for (let i = 0; i < 300; i++) {
      ctx.emit({ i, text: "x".repeat(60_000) });
      // What is emitted is stored several times a second, and no more than 4 MB of it can wait.
      if (i % 50 === 49) await stored(ctx.run.id, i + 3);
    }
  });
  await using engine = await engineUnderTest([large], { partitions: 1 });
  const stored = async (run: string, seq: number) => {
    for await (const message of engine.millrace.watch(run)) if (message.seq >= seq) return;
  };
  await engine.worker();
  const { id } = await engine.millrace.runs.start(large, {});
  for await (const message of engine.millrace.watch(id, { after: "0" })) if (message.type === "run.completed") break;
  const { value: first } = await engine.millrace.watch(id).next();
  expect(first).toMatchObject({ type: "reset", seq: 305, snapshot: { status: "completed" } });
  expect(await rawRedis().memory("USAGE", `{${engine.namespace}:0}:log:${id}`)).toBeLessThan(8_000_000);
});
