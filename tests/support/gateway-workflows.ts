import * as v from "valibot";
import { type AnyWorkflow, bodyOf, FatalError, readBlob, workflow } from "../../engine/index.ts";
import { Gates } from "./gates.ts";

const document = v.object({ id: v.string(), name: v.string(), type: v.string(), size: v.number(), sha256: v.string() });

/** Workflows for the gateway's tests, and what these hold their steps at. */
export function gatewayWorkflows(): { workflows: AnyWorkflow[]; gates: Gates; broken: Set<string> } {
  const gates = new Gates();
  /** The names that `fragile` fails for. */
  const broken = new Set<string>();

  const greet = workflow("greet", { input: v.object({ name: v.pipe(v.string(), v.minLength(1)) }) }).step(
    "hello",
    ({ name }) => ({ text: `Hello ${name}` }),
  );
  /** Emits `before`, waits at the gate of its run, emits `after`. */
  const held = workflow("held", { input: v.object({}) })
    .step("wait", async (input, ctx) => {
      ctx.emit({ at: "before" });
      await gates.pass(ctx.run.id, ctx.signal);
      ctx.emit({ at: "after" });
      return input;
    })
    .step("done", () => "done");
  const measure = workflow("measure", { input: v.object({ document }) }).step("size", async (input, ctx) => {
    const bytes = await readBlob(ctx.blobs, ctx.run.tenant, input.document.id);
    return { bytes: bytes.byteLength };
  });
  const fragile = workflow("fragile", { input: v.object({ name: v.string() }) }).step("try", ({ name }) => {
    if (broken.has(name)) throw new FatalError(`${name} is broken`);
    return name;
  });
  /** Waits at the gate of its run, then emits events of 10 KB, as fast as they are stored. */
  const noisy = workflow("noisy", { input: v.object({ events: v.number() }) }).step(
    "shout",
    async ({ events }, ctx) => {
      await gates.pass(ctx.run.id, ctx.signal);
      for (let i = 0; i < events; i++) {
        ctx.emit({ i, text: "x".repeat(10_000) });
        if (i % 50 === 49) await new Promise((resolve) => setTimeout(resolve, 5));
      }
    },
  );
  const inference = workflow("inference", { input: v.looseObject({ prompt: v.string() }) }).step(
    "answer",
    async ({ prompt, ...rest }, ctx) => {
      ctx.emit(prompt.toUpperCase());
      if (prompt === "slow") await gates.pass(ctx.run.id, ctx.signal);
      return { text: prompt.toUpperCase(), rest };
    },
  );
  /** Puts its input into the blob store and gives what is known of it. */
  const keeper = workflow("keeper", { input: v.object({ text: v.string() }) }).step("keep", ({ text }, ctx) =>
    ctx.blobs.put({ tenant: ctx.run.tenant, name: "kept.txt", type: "text/plain" }, bodyOf(text)),
  );
  return { workflows: [greet, held, measure, fragile, noisy, inference, keeper], gates, broken };
}
