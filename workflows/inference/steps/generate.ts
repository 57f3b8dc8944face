import { FatalError, type StepContext } from "../../../engine/index.ts";
import { inabilityOf } from "../abilities.ts";
import { extractiveAnswer } from "../extractive.ts";
import { EXTRACTIVE_MODEL } from "../models.ts";
import { remembered } from "../remembered.ts";
import { type ModelServer, serverOf } from "../server.ts";
import type { InferenceInput, InferenceOutput } from "../workflow.ts";

/** Answers the prompt or the conversation, on the server that the environment names or else on the embedded model. */
export default async function generate(input: InferenceInput, ctx: StepContext): Promise<InferenceOutput> {
  const server = serverOf(ctx.env);
  const model = input.model ?? server?.model ?? EXTRACTIVE_MODEL;
  const known = await remembered(input, { model, server }, ctx);
  if (known?.value !== undefined) {
    ctx.emit(known.value.text);
    return { ...known.value, cached: true };
  }
  const answer = model === EXTRACTIVE_MODEL ? await embedded(input, ctx) : await served(server, input, ctx);
  const tokens = answer.usage.inputTokens + answer.usage.outputTokens;
  // Not every server says how many there were.
  if (Number.isSafeInteger(tokens) && tokens > 0)
    ctx.usage(input.user_id === undefined ? { tokens } : { tokens, key: input.user_id });
  known?.keep(answer);
  return answer;
}

async function embedded(input: InferenceInput, ctx: StepContext): Promise<InferenceOutput> {
  const inability = inabilityOf(input);
  if (inability !== undefined) throw new FatalError(inability.message, { code: inability.code });
  return extractiveAnswer(input, ctx);
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
