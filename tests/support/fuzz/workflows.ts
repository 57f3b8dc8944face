import * as v from "valibot";
import { type AnyWorkflow, FatalError, workflow } from "../../../engine/index.ts";
import { embeddings } from "../../../workflows/embeddings/workflow.ts";
import { inference } from "../../../workflows/inference/workflow.ts";

const document = v.looseObject({ id: v.string() });

/** Workflows that end, or wait without a worker, whatever they are given. */
export const fuzzedWorkflows: AnyWorkflow[] = [
  workflow("greet", { input: v.object({ name: v.pipe(v.string(), v.minLength(1)) }) }).step(
    "hello",
    ({ name }) => name,
  ),
  workflow("any", { input: v.any() }).step("give", (input) => input ?? 0),
  workflow("fragile", { input: v.object({}) }).step("try", () => {
    throw new FatalError("It is broken.");
  }),
  workflow("asking", { input: v.object({}) }).waitFor("approve", { schema: v.any() }),
  workflow("measure", { input: v.object({ document }) }).step("size", (input) => input.document.id.length),
  inference,
  embeddings,
];
