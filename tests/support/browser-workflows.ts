import * as v from "valibot";
import { FatalError, workflow } from "../../engine/index.ts";
import { Gates } from "./gates.ts";

/** Workflows of which the dashboard's tests see the runs, and what these hold their steps at. */
export function browserWorkflows() {
  const gates = new Gates();
  const broken = new Set<string>();
  /** Emits a sentence, waits at the gate of its run, emits another one. */
  const tale = workflow("tale", { input: v.object({}) })
    .step("begin", { after: [], run: () => "begun" })
    .step("tell", async (_, ctx) => {
      ctx.emit("Once upon a time ");
      ctx.progress(0.5, "half way");
      await gates.pass(ctx.run.id, ctx.signal);
      ctx.emit("there was a mill.");
      return { words: 8 };
    })
    .step("end", (told) => told);
  const approval = workflow("approval", { input: v.object({ cents: v.number() }) })
    .waitFor("decision", { schema: v.object({ approved: v.boolean() }) })
    .step("settle", ({ approved }) => (approved ? "paid" : "refused"));
  const fragile = workflow("fragile", { input: v.object({ name: v.string() }) })
    .step("first", (input) => input)
    .step("try", ({ name }) => {
      if (broken.has(name)) throw new FatalError(`${name} is broken`, { code: "broken" });
      return `${name} is mended`;
    });
  const wide = workflow("wide", { input: v.object({ n: v.number() }) })
    .map("item", { over: ({ n }) => Array.from({ length: n }, (_, i) => i), run: (i) => i * i })
    .step("odd", { after: ["item"], when: () => false, run: () => "odd" })
    .step("sum", {
      after: ["item"],
      run: (all, ctx) => {
        ctx.usage({ tokens: 120, cost: 0.25 });
        return all.length;
      },
    })
    .step("both", { after: ["odd", "sum"], run: ({ sum }) => sum });
  return { workflows: [tale, approval, fragile, wide], tale, approval, fragile, wide, gates, broken };
}
