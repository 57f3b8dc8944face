import type { ServerResponse } from "node:http";
import OpenAI from "openai";
import { embeddings, inference } from "../../workflows/index.ts";
import { startGateway, type TestGateway } from "./gateway.ts";
import { type ModelRequest, type ModelServer, modelServer } from "./model-server.ts";

export const EXTRACTIVE = "millrace-extractive-1";
export const HASHING = "millrace-hashing-1";
/** What the embedded model has an answer in. */
export const BRIDGE = "It was designed in 1889. The bridge was built in 1894. It stands to this day.";

/** OpenAI's own client, of a gateway. It tries nothing again unless a test says so. */
export function clientOf(gateway: TestGateway, maxRetries = 0): OpenAI {
  return new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: "none", maxRetries });
}

export interface Upstream extends AsyncDisposable {
  gateway: TestGateway;
  client: OpenAI;
  server: ModelServer;
}

/** A gateway and a worker with the model workflows, and a server behind them that answers so. */
export async function withModelServer(
  answer: (response: ServerResponse, request: ModelRequest) => void | Promise<void>,
  options: Partial<Parameters<typeof startGateway>[0]> = {},
): Promise<Upstream> {
  const server = await modelServer(answer);
  const env = { OPENAI_BASE_URL: server.baseURL, OPENAI_API_KEY: "upstream-key", OPENAI_MODEL: "big-model" };
  const remoteModels = { model: "big-model", embeddingModel: "embedder", others: ["small-model"] };
  const gateway = await startGateway({ workflows: [inference, embeddings], env, remoteModels, ...options });
  const close = async () => {
    await gateway.close();
    await server.close();
  };
  return { gateway, server, client: clientOf(gateway), [Symbol.asyncDispose]: close };
}

/** How many runs there are. */
export async function runsOf(gateway: TestGateway): Promise<number> {
  return (await gateway.millrace.runs.list({ limit: 100 })).data.length;
}

/** What a stream says, from its first chunk to its last. */
export async function textOf(stream: AsyncIterable<OpenAI.ChatCompletionChunk>): Promise<string> {
  let text = "";
  for await (const { choices } of stream) text += choices[0]?.delta.content ?? "";
  return text;
}
