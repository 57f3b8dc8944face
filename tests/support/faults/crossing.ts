import * as v from "valibot";
import { type StepContext, workflow } from "../../../engine/index.ts";
import { RETRY } from "../programs/journey.ts";
import { Journal } from "./journal.ts";

const input = v.object({ key: v.string(), throws: v.optional(v.string()) });
type Given = v.InferOutput<typeof input>;

/** Writes down what it was given and what it made of it. */
function travel(given: unknown, ctx: StepContext): Given & { by: string } {
  const { run, step, attempt, fence, env } = ctx;
  const [baggage] =
    (given as Given).key === undefined ? Object.values(given as Record<string, Given>) : [given as Given];
  const output = { ...baggage!, by: fence };
  const told = { run: run.id, step, attempt, fence, input: given, output, pid: process.pid, at: Date.now() };
  new Journal(env.JOURNAL!).add({ what: "effect", ...told });
  if (output.throws === step && attempt === 1) throw new Error("the first attempt throws");
  return output;
}

const step = { retry: RETRY, run: travel };

/** Two ways that part and meet again, beside a chain: each handler writes what it does into the journal. */
export const crossing = workflow("crossing", { input })
  .step("pack", step)
  .step("left", { ...step, after: ["pack"] })
  .step("right", { ...step, after: ["pack"] })
  .step("meet", { ...step, after: ["left", "right"] })
  .step("arrive", step);

export const walk = workflow("walk", { input }).step("pack", step).step("go", step).step("arrive", step);
