import * as v from "valibot";
import { inferenceFields } from "../../workflows/inference/input.ts";
import { message } from "../../workflows/inference/messages.ts";
import type { InferenceInput } from "../../workflows/inference/workflow.ts";

const { max_tokens, user_id } = inferenceFields;
/** What would change the answer and is not done here. */
const refused = (message: string) => v.nullish(v.never(message));
const one = "One choice is made for a request: n is 1.";
const stopText = v.pipe(v.string(), v.minLength(1), v.maxLength(500));

/** Names that a client gives its requests by, as OpenAI's `metadata`. */
const metadata = v.pipe(
  v.record(v.pipe(v.string(), v.maxLength(64)), v.pipe(v.string(), v.maxLength(512))),
  v.maxEntries(16, "16 entries at the most."),
);

/**
 * The body of `POST /v1/chat/completions`
 * (https://platform.openai.com/docs/api-reference/chat/create). Null stands for what is not given.
 */
export const chatRequest = v.strictObject({
  messages: v.pipe(
    v.array(message, "A list of messages is wanted."),
    v.minLength(1, "There is no message."),
    v.maxLength(2_000),
  ),
  model: v.pipe(v.string("The name of a model is wanted."), v.minLength(1), v.maxLength(200)),
  max_tokens: v.nullish(v.unwrap(max_tokens)),
  max_completion_tokens: v.nullish(v.unwrap(max_tokens)),
  temperature: v.nullish(v.unwrap(inferenceFields.temperature)),
  top_p: v.nullish(v.unwrap(inferenceFields.top_p)),
  frequency_penalty: v.nullish(v.unwrap(inferenceFields.frequency_penalty)),
  presence_penalty: v.nullish(v.unwrap(inferenceFields.presence_penalty)),
  seed: v.nullish(v.unwrap(inferenceFields.seed)),
  stop: v.nullish(
    v.union(
      [stopText, v.pipe(v.array(stopText), v.minLength(1), v.maxLength(4))],
      "A text is wanted, or up to 4 of them.",
    ),
  ),
  n: v.nullish(v.literal(1, one)),
  stream: v.nullish(v.boolean()),
  stream_options: v.nullish(
    v.strictObject({ include_usage: v.nullish(v.boolean()), include_obfuscation: v.nullish(v.boolean()) }),
  ),
  response_format: v.nullish(v.unwrap(inferenceFields.response_format)),
  tools: v.nullish(v.unwrap(inferenceFields.tools)),
  tool_choice: v.nullish(v.unwrap(inferenceFields.tool_choice)),
  parallel_tool_calls: v.nullish(v.boolean()),
  reasoning_effort: v.nullish(v.unwrap(inferenceFields.reasoning_effort)),
  verbosity: v.nullish(v.unwrap(inferenceFields.verbosity)),
  logit_bias: v.nullish(v.unwrap(inferenceFields.logit_bias)),
  user: v.nullish(v.unwrap(user_id)),
  metadata: v.nullish(metadata),
  // Whose account, at what price and from which cache: the answer is the same.
  store: v.nullish(v.boolean()),
  service_tier: v.nullish(v.string()),
  safety_identifier: v.nullish(v.string()),
  prompt_cache_key: v.nullish(v.string()),
  prompt_cache_retention: v.nullish(v.string()),
  prediction: v.nullish(v.record(v.string(), v.unknown())),
  modalities: v.nullish(v.array(v.literal("text", "Answers are text."))),
  logprobs: v.nullish(v.literal(false, "Probabilities are not told.")),
  top_logprobs: v.nullish(v.literal(0, "Probabilities are not told.")),
  audio: refused("Answers are text."),
  functions: refused("Give functions as tools."),
  function_call: refused("Use tool_choice."),
  web_search_options: refused("No model here searches the web."),
  moderation: refused("Nothing is moderated here."),
});

export type ChatRequest = v.InferOutput<typeof chatRequest>;

/** What the workflow `inference` is given for a request. */
export function inferenceOf(request: ChatRequest): InferenceInput {
  const { max_completion_tokens, max_tokens, stop, user } = request;
  return {
    messages: request.messages,
    model: request.model,
    user_id: user ?? undefined,
    max_tokens: max_completion_tokens ?? max_tokens ?? undefined,
    temperature: request.temperature ?? undefined,
    top_p: request.top_p ?? undefined,
    frequency_penalty: request.frequency_penalty ?? undefined,
    presence_penalty: request.presence_penalty ?? undefined,
    seed: request.seed ?? undefined,
    stop: typeof stop === "string" ? [stop] : (stop ?? undefined),
    response_format: request.response_format ?? undefined,
    tools: request.tools ?? undefined,
    tool_choice: request.tool_choice ?? undefined,
    parallel_tool_calls: request.parallel_tool_calls ?? undefined,
    reasoning_effort: request.reasoning_effort ?? undefined,
    verbosity: request.verbosity ?? undefined,
    logit_bias: request.logit_bias ?? undefined,
  };
}
