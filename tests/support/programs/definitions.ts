// Workflows for tests of the command line: given to it by --workflows.
import { existsSync } from "node:fs";
import * as v from "valibot";
import { type StepContext, workflow } from "../../../engine/index.ts";

export const adding = workflow("adding", { input: v.object({ n: v.number() }) })
  .step("one", ({ n }) => ({ n: n + 1 }))
  .step("two", ({ n }) => ({ n: n + 1 }));

/** Says on standard output that it is at work, and ends when the file is there. */
export const waiting = workflow("waiting", { input: v.object({ file: v.string() }) }).step("wait", waitForFile);

export default [adding, waiting];

async function waitForFile({ file }: { file: string }, { signal }: StepContext): Promise<{ waited: boolean }> {
  console.log(`at work in process ${process.pid}`);
  while (!existsSync(file)) {
    signal.throwIfAborted();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return { waited: true };
}
