// The workflow of the fault tests, given to workers by --workflows: each handler writes what it does into the journal.
import * as v from "valibot";
import { type StepContext, workflow } from "../../../engine/index.ts";
import { Journal } from "../faults/journal.ts";

/** What travels from step to step: which run it is, and the fence of the attempt that this is the output of. */
export interface Baggage {
  key: string;
  by: string;
  /** How long each step takes. */
  ms: number;
  /** The step that kills its process, and with every attempt. */
  poison?: string | undefined;
  /** The step whose first attempt throws. */
  throws?: string | undefined;
}

const input = v.object({
  key: v.string(),
  by: v.string(),
  ms: v.number(),
  poison: v.optional(v.string()),
  throws: v.optional(v.string()),
});

/** As the check knows it: see `Policy`. */
export const RETRY = { attempts: 3, baseMs: 20, maxMs: 100 };

const after = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

async function travel(baggage: Baggage, ctx: StepContext): Promise<Baggage> {
  const { run, step, attempt, fence, env, signal } = ctx;
  if (baggage.ms > 0) await after(baggage.ms);
  signal.throwIfAborted();
  const output = { ...baggage, by: fence };
  const by = { pid: process.pid, at: Date.now() };
  if (env.JOURNAL !== undefined)
    new Journal(env.JOURNAL).add({ what: "effect", run: run.id, step, attempt, fence, input: baggage, output, ...by });
  if (baggage.poison === step) process.kill(process.pid, "SIGKILL");
  if (baggage.throws === step && attempt === 1) throw new Error("the first attempt throws");
  return output;
}

const step = { retry: RETRY, run: travel };
export const journey = workflow("journey", { input })
  .step("pack", step)
  .step("leave", step)
  .step("cross", step)
  .step("arrive", step);

export default [journey];
