import type { StepContext } from "../../engine/index.ts";
import { promptOf } from "./prompt.ts";
import { type ChatCall, PROVIDER, providerOf } from "./provider.ts";
import { decided } from "./refusals.ts";
import type { ModelServer } from "./server.ts";
import type { InferenceInput, InferenceOutput, ToolCall } from "./workflow.ts";

/**
 * Answers on a server that speaks OpenAI's chat completions, emitting the text as it comes. Retries are the engine's.
 *
 * @throws FatalError with the server's message where it refuses the request; RetryAfterError where it says when to come
 *   back; what else goes wrong as it is
 */
export async function answerOf(server: ModelServer, input: InferenceInput, ctx: StepContext): Promise<InferenceOutput> {
  try {
    return await ask(server, input, ctx);
  } catch (error) {
    ctx.signal.throwIfAborted();
    throw decided(error, server);
  }
}

async function ask(server: ModelServer, input: InferenceInput, ctx: StepContext): Promise<InferenceOutput> {
  const model = input.model ?? server.model;
  const { stream } = await providerOf(server)
    .chatModel(model)
    .doStream({
      ...callOf(input),
      headers: { "Idempotency-Key": ctx.idempotencyKey },
      abortSignal: ctx.signal,
    });
  let text = "";
  const toolCalls: ToolCall[] = [];
  for await (const part of stream) {
    if (part.type === "text-delta") {
      text += part.delta;
      if (part.delta !== "") ctx.emit(part.delta);
    } else if (part.type === "tool-call")
      toolCalls.push({ id: part.toolCallId, name: part.toolName, arguments: part.input });
    else if (part.type === "error") throw part.error;
    else if (part.type === "finish") {
      const { inputTokens, outputTokens } = part.usage;
      const usage = { inputTokens: inputTokens.total ?? 0, outputTokens: outputTokens.total ?? 0 };
      const answer = { text, model, usage, finishReason: part.finishReason.unified };
      return toolCalls.length === 0 ? answer : { ...answer, toolCalls };
    }
  }
  throw new Error("The model's answer ended before it was complete.");
}

/** What is asked, as the AI SDK's models take it. */
function callOf(input: InferenceInput): ChatCall {
  const { tools = [], tool_choice: choice, response_format: format } = input;
  return {
    prompt: promptOf(input),
    maxOutputTokens: input.max_tokens,
    temperature: input.temperature,
    topP: input.top_p,
    frequencyPenalty: input.frequency_penalty,
    presencePenalty: input.presence_penalty,
    seed: input.seed,
    stopSequences: input.stop,
    tools: tools.map(({ function: { name, description, parameters = {}, strict } }) => ({
      type: "function",
      name,
      description,
      inputSchema: parameters,
      ...(strict == null ? {} : { strict }),
    })),
    toolChoice:
      choice === undefined
        ? undefined
        : typeof choice === "string"
          ? { type: choice }
          : { type: "tool", toolName: choice.function.name },
    ...(format === undefined ? {} : formatOf(format)),
    providerOptions: { [PROVIDER]: rawOf(input) },
  };
}

function formatOf(format: NonNullable<InferenceInput["response_format"]>): Pick<ChatCall, "responseFormat"> {
  if (format.type === "text") return {};
  if (format.type === "json_object") return { responseFormat: { type: "json" } };
  const { name, description, schema } = format.json_schema;
  return { responseFormat: { type: "json", name, description, schema } };
}

/** What the SDK hands on under names of its own, or as it is. */
function rawOf(input: InferenceInput): Record<string, string | boolean | Record<string, number>> {
  const { user_id: user, reasoning_effort, verbosity, parallel_tool_calls, logit_bias, response_format } = input;
  const isStrict = response_format?.type === "json_schema" && response_format.json_schema.strict === true;
  return {
    strictJsonSchema: isStrict,
    ...(user === undefined ? {} : { user }),
    ...(reasoning_effort === undefined ? {} : { reasoningEffort: reasoning_effort }),
    ...(verbosity === undefined ? {} : { textVerbosity: verbosity }),
    ...(parallel_tool_calls === undefined ? {} : { parallel_tool_calls }),
    ...(logit_bias === undefined ? {} : { logit_bias }),
  };
}
