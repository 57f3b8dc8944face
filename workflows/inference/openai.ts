import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, streamText } from "ai";
import { FatalError, RetryAfterError, type StepContext } from "../../engine/index.ts";
import type { ModelServer } from "./server.ts";
import type { InferenceInput, InferenceOutput } from "./workflow.ts";

const PROVIDER = "openai";
/** Nobody waits longer for a server that asks for patience. */
const LONGEST_WAIT_MS = 60 * 60_000;
/** With these, the same request would be refused again. */
const REFUSALS: Readonly<Record<number, string>> = {
  400: "model_request",
  401: "model_unauthorized",
  403: "model_forbidden",
  404: "model_unavailable",
  422: "model_request",
};

/**
 * Answers on a server that speaks OpenAI's chat completions, emitting the text as it comes. Retries are the engine's.
 *
 * @throws FatalError with the server's message where it refuses the request; RetryAfterError where it says when to come
 *   back; what else goes wrong as it is
 */
export async function answerOf(server: ModelServer, input: InferenceInput, ctx: StepContext): Promise<InferenceOutput> {
  const model = input.model ?? server.model;
  const provider = createOpenAICompatible({
    name: PROVIDER,
    baseURL: server.baseURL,
    includeUsage: true,
    ...(server.apiKey === undefined ? {} : { apiKey: server.apiKey }),
    ...(new URL(server.baseURL).hostname === "api.openai.com" ? { transformRequestBody: renameMaxTokens } : {}),
  });
  const { stream } = streamText({
    model: provider.chatModel(model),
    prompt: input.prompt,
    ...(input.system === undefined ? {} : { instructions: input.system }),
    ...(input.max_tokens === undefined ? {} : { maxOutputTokens: input.max_tokens }),
    ...(input.user_id === undefined ? {} : { providerOptions: { [PROVIDER]: { user: input.user_id } } }),
    headers: { "Idempotency-Key": ctx.idempotencyKey },
    abortSignal: ctx.signal,
    maxRetries: 0,
    // They arrive in the stream as well, and are thrown from there; the default prints them.
    onError: () => {},
  });
  let text = "";
  for await (const part of stream) {
    if (part.type === "text-delta") {
      text += part.text;
      if (part.text !== "") ctx.emit(part.text);
    } else if (part.type === "abort") {
      throw ctx.signal.reason;
    } else if (part.type === "error") {
      ctx.signal.throwIfAborted();
      throw decided(part.error, server);
    } else if (part.type === "finish") {
      const { inputTokens = 0, outputTokens = 0 } = part.totalUsage;
      return { text, model, usage: { inputTokens, outputTokens }, finishReason: part.finishReason };
    }
  }
  throw new Error("The model's answer ended before it was complete.");
}

/** OpenAI's newer models refuse the older name, which the servers compatible with it know. */
function renameMaxTokens({ max_tokens, ...body }: Record<string, unknown>): Record<string, unknown> {
  return max_tokens === undefined ? body : { ...body, max_completion_tokens: max_tokens };
}

/** What an error means to the engine: give up, come back later, or (as it is) try again by the step's own policy. */
function decided(error: unknown, server: ModelServer): Error {
  const said = withoutSecrets(messageOf(error), server);
  if (APICallError.isInstance(error)) {
    const status = error.statusCode ?? 0;
    const message = `The model server answered ${status}: ${said}`;
    const code = REFUSALS[status];
    if (code !== undefined) return new FatalError(message, { code });
    const waitMs = retryAfterMs(error.responseHeaders ?? {});
    if ((status === 429 || status === 503) && waitMs !== undefined)
      return new RetryAfterError(message, waitMs, { code: status === 429 ? "model_busy" : "model_unavailable" });
  }
  return error instanceof Error && error.message === said ? error : new Error(said);
}

/** `Retry-After` is a number of seconds or a date (RFC 9110, 10.2.3). */
function retryAfterMs(headers: Record<string, string>): number | undefined {
  const value = headers["retry-after"]?.trim();
  if (value === undefined || value === "") return undefined;
  const ms = /^\d+(?:\.\d+)?$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.min(LONGEST_WAIT_MS, Math.max(0, Math.ceil(ms)));
}

/** Errors inside a stream are what the server makes of them: a text, or an object with one. */
function messageOf(error: unknown): string {
  if (error instanceof Error) return error.message;
  if (typeof error === "string") return error;
  const { message } = (typeof error === "object" && error !== null ? error : {}) as { message?: unknown };
  return typeof message === "string" ? message : `The model server reported an error: ${JSON.stringify(error)}`;
}

/** Servers repeat the key that they refuse. */
function withoutSecrets(message: string, { apiKey }: ModelServer): string {
  const hidden = apiKey === undefined ? message : message.replaceAll(apiKey, "[key]");
  return hidden.replaceAll(/\b(?:sk|pk|key)-[A-Za-z0-9_*-]{6,}/g, "[key]").slice(0, 1_000);
}
