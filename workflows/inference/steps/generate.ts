import { FatalError, type StepContext } from "../../../engine/index.ts";
import { EXTRACTIVE_MODEL, extractiveAnswer } from "../extractive.ts";
import { remembered } from "../remembered.ts";
import { type ModelServer, serverOf } from "../server.ts";
import type { InferenceInput, InferenceOutput } from "../workflow.ts";

/** Answers the prompt, on the server that the environment names or else on the embedded model. */
export default async function generate(input: InferenceInput, ctx: StepContext): Promise<InferenceOutput> {
  const server = serverOf(ctx.env);
  const model = input.model ?? server?.model ?? EXTRACTIVE_MODEL;
  const known = await remembered(input, { model, server }, ctx);
  if (known?.value !== undefined) {
    ctx.emit(known.value.text);
    return { ...known.value, cached: true };
  }
  const answer = model === EXTRACTIVE_MODEL ? await extractiveAnswer(input, ctx) : await served(server, input, ctx);
  known?.keep(answer);
  return answer;
}

async function served(
  server: ModelServer | undefined,
  input: InferenceInput,
  ctx: StepContext,
): Promise<InferenceOutput> {
  if (server === undefined)
    throw new FatalError(
      `There is no model ${JSON.stringify(input.model)}: no model server is configured (OPENAI_BASE_URL, OPENAI_API_KEY). ` +
        `Leave the model out, or ask for ${EXTRACTIVE_MODEL}.`,
      { code: "model_unavailable" },
    );
  // The client is only loaded where there is a server to talk to.
  const { answerOf } = await import("../openai.ts");
  return answerOf(server, input, ctx);
}
