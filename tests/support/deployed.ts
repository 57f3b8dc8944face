import { any, number, object, optional } from "valibot";
import { workflow } from "../../engine/index.ts";
import { type EngineUnderTest, engineUnderTest } from "./engine-under-test.ts";

const input = object({ n: number() });
export const one = workflow("doc", { version: 1, input })
  .step("read", ({ n }) => `read ${n}`)
  .waitFor("approve", { schema: any() })
  .step("file", (by) => `filed for ${by} by 1`);
export const two = workflow("doc", { version: 2, input: object({ n: number(), urgent: optional(number()) }) })
  .step("read", ({ n }) => `read ${n} by 2`)
  .waitFor("approve", { schema: any() })
  .step("check", (by) => `${by}, checked`)
  .step("file", (by) => `filed for ${by} by 2`);

/** An engine with a worker for version 2, and runs of version 1 whose worker is gone. */
export async function deployed(runs = 1): Promise<{ engine: EngineUnderTest; ids: string[] }> {
  const old = await engineUnderTest([one]);
  const worker = await old.worker();
  const ids: string[] = [];
  for (let n = 0; n < runs; n += 1) ids.push((await old.millrace.runs.start("doc", { n })).id);
  for (const id of ids) await old.until(id, ({ type }) => type === "run.waiting");
  await worker.stop();
  const engine = await engineUnderTest([two], { namespace: old.namespace });
  await old[Symbol.asyncDispose]();
  return { engine, ids };
}
