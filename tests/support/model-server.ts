import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface ModelRequest {
  path: string;
  headers: IncomingHttpHeaders;
  // biome-ignore lint/suspicious/noExplicitAny: what a test expects of it is what the test is about
  body: any;
}

export interface ModelServer extends AsyncDisposable {
  /** For OPENAI_BASE_URL. */
  baseURL: string;
  requests: ModelRequest[];
  /** Requests whose client has gone before the answer was complete. */
  abandoned: Promise<void>;
  close(): Promise<void>;
}

/** A server that speaks as much of OpenAI's chat completions as a test lets it, on a free port. */
export async function modelServer(
  answer: (response: ServerResponse, request: ModelRequest) => void | Promise<void>,
): Promise<ModelServer> {
  const requests: ModelRequest[] = [];
  const abandoned = Promise.withResolvers<void>();
  const server = createServer(async (incoming, response) => {
    let text = "";
    for await (const chunk of incoming.setEncoding("utf8")) text += chunk;
    const request = { path: incoming.url ?? "", headers: incoming.headers, body: JSON.parse(text) };
    requests.push(request);
    response.on("close", () => {
      if (!response.writableFinished) abandoned.resolve();
    });
    await answer(response, request);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = () =>
    new Promise<void>((resolve, reject) => {
      server.close((error) => (error === undefined ? resolve() : reject(error)));
      server.closeAllConnections();
    });
  return {
    baseURL: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    requests,
    abandoned: abandoned.promise,
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Begins a stream of server-sent events. */
export function beginStream(response: ServerResponse): void {
  response.writeHead(200, { "Content-Type": "text/event-stream" });
}

/** One event of the stream, as OpenAI sends them. */
export function sendChunk(
  response: ServerResponse,
  chunk: { content?: string; finish?: string; usage?: object } | { error: object },
): void {
  const { content, finish, usage } = chunk as { content?: string; finish?: string; usage?: object };
  const data =
    "error" in chunk
      ? chunk
      : {
          id: "chatcmpl-1",
          object: "chat.completion.chunk",
          created: 1,
          model: "test-model",
          choices: usage !== undefined ? [] : [{ index: 0, delta: { content }, finish_reason: finish ?? null }],
          ...(usage === undefined ? {} : { usage }),
        };
  response.write(`data: ${JSON.stringify(data)}\n\n`);
}

/** The whole of a good answer. */
export function streamAnswer(response: ServerResponse, parts: readonly string[]): void {
  beginStream(response);
  for (const content of parts) sendChunk(response, { content });
  sendChunk(response, { content: "", finish: "stop" });
  sendChunk(response, { usage: { prompt_tokens: 9, completion_tokens: 3, total_tokens: 12 } });
  response.end("data: [DONE]\n\n");
}
