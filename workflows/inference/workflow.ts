import * as v from "valibot";
import { workflow } from "../../engine/index.ts";

const input = v.object({
  /** What is asked; for the embedded model, with the text that holds the answer. */
  prompt: v.pipe(v.string(), v.minLength(1, "The prompt is empty."), v.maxLength(100_000)),
  /** One of the server's models, or `millrace-extractive-1`. */
  model: v.optional(v.pipe(v.string(), v.minLength(1), v.maxLength(200))),
  /** Handed to the server as `user`. */
  user_id: v.optional(v.pipe(v.string(), v.minLength(1), v.maxLength(200))),
  system: v.optional(v.pipe(v.string(), v.maxLength(100_000))),
  max_tokens: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(32_000))),
  /** Whether the answer that the same request had before will do, where the worker remembers it. */
  cache: v.optional(v.boolean()),
});

export type InferenceInput = v.InferOutput<typeof input>;

export interface InferenceOutput {
  text: string;
  /** The model that has answered. */
  model: string;
  /** In the model's own tokens; the embedded model counts words. */
  usage: { inputTokens: number; outputTokens: number };
  /** `stop`, `length` (cut at `max_tokens`), `content-filter` or what else the server says. */
  finishReason: string;
  /** The answer is one that an earlier request had, and so is its usage: nothing was asked of the model. */
  cached?: true;
}

/**
 * Answers a prompt: on an OpenAI-compatible server if `OPENAI_BASE_URL` or `OPENAI_API_KEY` is set, else on the embedded
 * extractive model. The answer's text is sent to those who watch as it comes.
 */
export const inference = workflow("inference", { input }).step("generate", {
  load: () => import("./steps/generate.ts"),
  timeoutMs: 10 * 60_000,
});
