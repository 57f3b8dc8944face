import type * as v from "valibot";
import type { RunView } from "../../engine/index.ts";
import type { InferenceOutput, ToolCall } from "../../workflows/inference/workflow.ts";
import type { completionUsageView, completionView, finishReason, toolCallView } from "../views/openai.ts";

export type FinishReason = v.InferOutput<typeof finishReason>;
export type CompletionUsage = v.InferOutput<typeof completionUsageView>;

/** A completed run of `inference` as OpenAI's `chat.completion`. */
export function chatCompletion(run: RunView): v.InferOutput<typeof completionView> {
  const output = run.output as InferenceOutput;
  const { text, model, toolCalls = [] } = output;
  const calls = toolCalls.map(toolCallOf);
  return {
    id: completionId(run.id),
    object: "chat.completion",
    created: secondsOf(run.createdAt),
    model,
    choices: [
      {
        index: 0,
        message: {
          role: "assistant",
          content: text === "" && calls.length > 0 ? null : text,
          refusal: null,
          ...(calls.length === 0 ? {} : { tool_calls: calls }),
        },
        logprobs: null,
        finish_reason: finishReasonOf(output),
      },
    ],
    usage: completionUsage(output),
  };
}

export function completionId(run: string): string {
  return `chatcmpl-${run}`;
}

/** An ISO time in seconds since 1970. */
export function secondsOf(time: string): number {
  return Math.floor(Date.parse(time) / 1_000);
}

export function toolCallOf({ id, name, arguments: json }: ToolCall): v.InferOutput<typeof toolCallView> {
  return { id, type: "function", function: { name, arguments: json } };
}

export function finishReasonOf({ finishReason }: InferenceOutput): FinishReason {
  if (finishReason === "length") return "length";
  if (finishReason === "tool-calls") return "tool_calls";
  return finishReason === "content-filter" ? "content_filter" : "stop";
}

export function completionUsage({ usage: { inputTokens, outputTokens } }: InferenceOutput): CompletionUsage {
  return { prompt_tokens: inputTokens, completion_tokens: outputTokens, total_tokens: inputTokens + outputTokens };
}
