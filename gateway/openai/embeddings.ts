import * as v from "valibot";
import type { RunView } from "../../engine/index.ts";
import { decodeFloats } from "../../workflows/embeddings/floats.ts";
import type { EmbeddingsInput, EmbeddingsOutput } from "../../workflows/embeddings/workflow.ts";
import type { embeddingListView } from "../views/openai.ts";

const noTokens = "A text is wanted; lists of tokens are not taken.";
const text = v.pipe(
  v.string(noTokens),
  v.minLength(1, "The text is empty."),
  v.maxLength(100_000, "A text has 100,000 characters at the most."),
);
const texts = v.pipe(
  v.array(text),
  v.minLength(1, "There is no text."),
  v.maxLength(2_048, "2,048 texts at the most."),
);

/**
 * The body of `POST /v1/embeddings` (https://platform.openai.com/docs/api-reference/embeddings/create). Null stands for what is
 * not given.
 */
export const embeddingsRequest = v.strictObject({
  input: v.union([text, texts], "A text is wanted, or a list of texts."),
  model: v.pipe(v.string("The name of a model is wanted."), v.minLength(1), v.maxLength(200)),
  encoding_format: v.nullish(v.picklist(["float", "base64"], "One of float and base64.")),
  dimensions: v.nullish(
    v.pipe(v.number(), v.integer("A whole number."), v.minValue(1), v.maxValue(4_096, "4,096 at the most.")),
  ),
  user: v.nullish(v.pipe(v.string(), v.minLength(1), v.maxLength(200))),
});

export type EmbeddingsRequest = v.InferOutput<typeof embeddingsRequest>;

/** What the workflow `embeddings` is given for a request. */
export function embeddingsInputOf({ input, model, dimensions, user }: EmbeddingsRequest): EmbeddingsInput {
  return {
    texts: typeof input === "string" ? [input] : input,
    model,
    dimensions: dimensions ?? undefined,
    user_id: user ?? undefined,
  };
}

/** A completed run of `embeddings` as OpenAI's list of embeddings. */
export function embeddingList(
  { output }: RunView,
  { encoding_format }: EmbeddingsRequest,
): v.InferOutput<typeof embeddingListView> {
  const { embeddings, model, usage } = output as EmbeddingsOutput;
  return {
    object: "list",
    data: embeddings.map((base64, index) => ({
      object: "embedding",
      index,
      embedding: encoding_format === "base64" ? base64 : decodeFloats(base64),
    })),
    model,
    usage: { prompt_tokens: usage.inputTokens, total_tokens: usage.inputTokens },
  };
}
