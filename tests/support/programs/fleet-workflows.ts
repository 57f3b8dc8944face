// Workflows for tests that start several workers and do them harm: given to these by --workflows.
import { existsSync } from "node:fs";
import * as v from "valibot";
import { FatalError, type StepContext, workflow } from "../../../engine/index.ts";

/** Which process ran a step's attempt. */
export interface RanBy {
  pid: number;
  attempt: number;
}

const after = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
const by = ({ attempt }: StepContext): RanBy => ({ pid: process.pid, attempt });

/** Says on standard output that it is held, and goes on when its attempt's file is there: of several, one for each. */
export const held = workflow("held", { input: v.object({ files: v.array(v.string()) }) })
  .step("before", (input) => input)
  .step("hold", async ({ files }, ctx) => {
    console.log(`holding ${ctx.run.id}`);
    while (!existsSync(files[ctx.attempt - 1] ?? "")) {
      ctx.signal.throwIfAborted();
      await after(5);
    }
    return by(ctx);
  })
  .step("after", (ranBy) => ranBy);

/** Works for that long, and heeds no signal. */
export const lasting = workflow("lasting", { input: v.object({ ms: v.number() }) }).step(
  "last",
  async ({ ms }, ctx) => {
    console.log(`lasting ${ctx.run.id}`);
    await after(ms);
    return by(ctx);
  },
);

/** Takes its process down, unless it is spared: then it works for that long. */
export const killing = workflow("killing", { input: v.object({ spareMs: v.optional(v.number()) }) })
  .step("before", (input) => input)
  .step("kill", async ({ spareMs }) => {
    if (spareMs === undefined) process.kill(process.pid, "SIGKILL");
    await after(spareMs ?? 0);
  });

/** Three steps, of which the second one takes that long. */
export const chain = workflow("chain", { input: v.object({ ms: v.number() }) })
  .step("one", (input) => input)
  .step("two", async ({ ms }) => {
    await after(ms);
    return ms;
  })
  .step("three", (_, ctx) => by(ctx));

/** Fails, and is undone: the undo says that it is held, and goes on when its attempt's file is there. */
export const undoing = workflow("undoing", { input: v.object({ files: v.array(v.string()) }) })
  .step("first", { run: (input) => input, undo: () => console.log("undone first") })
  .step("second", {
    run: (input) => input,
    undo: async ({ input: { files } }, ctx) => {
      console.log(`undoing ${ctx.run.id}`);
      while (!existsSync(files[ctx.attempt - 1] ?? "")) {
        ctx.signal.throwIfAborted();
        await after(5);
      }
    },
  })
  .step("fails", () => {
    throw new FatalError("no");
  });

export default [held, lasting, killing, chain, undoing];
