import * as v from "valibot";
import { type Workflow, workflow } from "../../engine/index.ts";

const text = v.pipe(
  v.string("A text is wanted."),
  v.minLength(1, "The text is empty."),
  v.maxLength(100_000, "A text has 100,000 characters at the most."),
);

/** Of all vectors of a run. */
const MOST_NUMBERS = 4_194_304;

const fields = v.object({
  texts: v.pipe(v.array(text), v.minLength(1, "There is no text."), v.maxLength(2_048, "2,048 texts at the most.")),
  model: v.optional(v.pipe(v.string(), v.minLength(1), v.maxLength(200))),
  dimensions: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(4_096))),
  user_id: v.optional(v.pipe(v.string(), v.minLength(1), v.maxLength(200))),
});

/** Texts, and how their vectors are wanted. */
export interface EmbeddingsInput {
  texts: string[];
  /** One of the server's models, or `millrace-hashing-1`. */
  model?: string | undefined;
  /** How long the vectors are; by default as the model has them. */
  dimensions?: number | undefined;
  /** Handed to the server as `user`, and the key that what is used is summed for. */
  user_id?: string | undefined;
}

const input: v.GenericSchema<EmbeddingsInput> = v.pipe(
  fields,
  v.forward(
    v.check(
      ({ texts, dimensions = 1 }) => texts.length * dimensions <= MOST_NUMBERS,
      `Vectors of ${MOST_NUMBERS} numbers in all are made at the most.`,
    ),
    ["dimensions"],
  ),
);

export interface EmbeddingsOutput {
  /** A vector for each text, in order: 32-bit floats, little endian, in base64. */
  embeddings: string[];
  /** The model that has made them. */
  model: string;
  /** In the model's own tokens; the embedded model counts words. */
  usage: { inputTokens: number };
}

/**
 * Makes vectors of texts, those of several runs in one call: on an OpenAI-compatible server if `OPENAI_BASE_URL` or
 * `OPENAI_API_KEY` is set, else with the embedded hashing model.
 */
export const embeddings: Workflow<
  EmbeddingsInput,
  { embed: EmbeddingsOutput },
  "embed",
  "embed",
  never,
  { embed: { input: EmbeddingsInput; output: EmbeddingsOutput } }
> = workflow("embeddings", { input }).batch("embed", {
  load: () => import("./steps/embed.ts"),
  size: 32,
  waitMs: 5,
  timeoutMs: 5 * 60_000,
});
