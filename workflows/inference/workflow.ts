import { type Workflow, workflow } from "../../engine/index.ts";
import { type InferenceInput, inferenceInput } from "./input.ts";

export type { InferenceInput } from "./input.ts";

/** A call of a tool that the model asks for. */
export interface ToolCall {
  id: string;
  name: string;
  /** JSON, as the model wrote it. */
  arguments: string;
}

export interface InferenceOutput {
  text: string;
  /** The model that has answered. */
  model: string;
  /** In the model's own tokens; the embedded model counts words. */
  usage: { inputTokens: number; outputTokens: number };
  /** `stop`, `length` (cut at `max_tokens`), `tool-calls`, `content-filter` or what else the server says. */
  finishReason: string;
  /** Absent if there is none. */
  toolCalls?: ToolCall[];
  /** The answer is one that an earlier request had, and so is its usage: nothing was asked of the model. */
  cached?: true;
}

/**
 * Answers a prompt or a conversation: on an OpenAI-compatible server if `OPENAI_BASE_URL` or `OPENAI_API_KEY` is set, else on
 * the embedded extractive model. The answer's text is sent to those who watch as it comes.
 */
export const inference: Workflow<
  InferenceInput,
  { generate: InferenceOutput },
  "generate",
  "generate",
  never,
  { generate: { input: InferenceInput; output: InferenceOutput } }
> = workflow("inference", { input: inferenceInput }).step("generate", {
  load: () => import("./steps/generate.ts"),
  timeoutMs: 10 * 60_000,
});
