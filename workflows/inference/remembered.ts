import { type CachedResult, hexDigest, type StepContext } from "../../engine/index.ts";
import { deploymentKey, MODELS } from "./deployments.ts";
import type { ModelServer } from "./server.ts";
import type { InferenceInput, InferenceOutput } from "./workflow.ts";

/** Answers that the model itself has ended; others may come out better the next time. */
const COMPLETE = ["stop", "length"];

/**
 * What is remembered of the same request to this model, if the request allows that (`cache`) and the flag
 * `inference.cache` does not forbid it.
 */
export async function remembered(
  input: InferenceInput,
  { model, server }: { model: string; server: ModelServer | undefined },
  ctx: StepContext,
): Promise<CachedResult<InferenceOutput> | undefined> {
  if (input.cache !== true || !ctx.config.flag("inference.cache", { default: true })) return undefined;
  const { cache: _, model: __, ...asked } = input;
  const where = [ctx.run.tenant, server?.baseURL ?? null, ctx.config.get(deploymentKey(model)) ?? null];
  const key = await hexDigest("SHA-256", JSON.stringify([...where, asked]));
  const result = ctx.cached<InferenceOutput>(MODELS, model, key);
  return {
    value: result.value,
    keep: (answer) => {
      if (COMPLETE.includes(answer.finishReason)) result.keep(answer);
    },
  };
}
