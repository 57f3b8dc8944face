import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import type { ModelServer } from "./server.ts";

/** The key of what is handed on in a request as it is. */
export const PROVIDER = "openai";

/** A client of a server that speaks OpenAI's protocol. It tries nothing again: that is the engine's to do. */
export function providerOf({ baseURL, apiKey }: ModelServer) {
  return createOpenAICompatible({
    name: PROVIDER,
    baseURL,
    includeUsage: true,
    supportsStructuredOutputs: true,
    ...(apiKey === undefined ? {} : { apiKey }),
    ...(new URL(baseURL).hostname === "api.openai.com" ? { transformRequestBody: renameMaxTokens } : {}),
  });
}

/** OpenAI's newer models refuse the older name, which the servers compatible with it know. */
function renameMaxTokens({ max_tokens, ...body }: Record<string, unknown>): Record<string, unknown> {
  return max_tokens === undefined ? body : { ...body, max_completion_tokens: max_tokens };
}

export type ChatModel = ReturnType<ReturnType<typeof providerOf>["chatModel"]>;
export type ChatCall = Parameters<ChatModel["doStream"]>[0];
