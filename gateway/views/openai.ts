import * as v from "valibot";
import { count } from "./common.ts";

/** An error as OpenAI's clients read it. */
export const openAiError = v.strictObject({
  error: v.strictObject({
    message: v.string(),
    type: v.string(),
    /** The field that it is about, such as `messages[0].content`. */
    param: v.nullable(v.string()),
    code: v.nullable(v.string()),
  }),
});

export const completionUsageView = v.strictObject({
  prompt_tokens: count,
  completion_tokens: count,
  total_tokens: count,
});
export const finishReason = v.picklist(["stop", "length", "tool_calls", "content_filter"]);
export const toolCallView = v.strictObject({
  id: v.string(),
  type: v.literal("function"),
  function: v.strictObject({ name: v.string(), arguments: v.string() }),
});

/** OpenAI's `chat.completion`. */
export const completionView = v.strictObject({
  id: v.string(),
  object: v.literal("chat.completion"),
  /** Seconds since 1970. */
  created: count,
  model: v.string(),
  choices: v.array(
    v.strictObject({
      index: v.literal(0),
      message: v.strictObject({
        role: v.literal("assistant"),
        content: v.nullable(v.string()),
        refusal: v.null(),
        tool_calls: v.optional(v.array(toolCallView)),
      }),
      logprobs: v.null(),
      finish_reason: finishReason,
    }),
  ),
  usage: completionUsageView,
});

/** OpenAI's list of embeddings. */
export const embeddingListView = v.strictObject({
  object: v.literal("list"),
  data: v.array(
    v.strictObject({
      object: v.literal("embedding"),
      index: count,
      /** Numbers, or 32-bit floats, little endian, in base64. */
      embedding: v.union([v.string(), v.array(v.number())]),
    }),
  ),
  model: v.string(),
  usage: v.strictObject({ prompt_tokens: count, total_tokens: count }),
});

export const modelView = v.strictObject({
  id: v.string(),
  object: v.literal("model"),
  /** Seconds since 1970: when it was deployed last, or came to be. */
  created: count,
  owned_by: v.picklist(["millrace", "model-server"]),
  /** Of the last deployment, if there was one. */
  version: v.optional(v.string()),
});

export const modelListView = v.strictObject({ object: v.literal("list"), data: v.array(modelView) });
