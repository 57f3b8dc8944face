import type { Context } from "hono";
import type { StartedRun } from "../../engine/index.ts";
import { type Env, type Gateway, tenantOf } from "../context.ts";
import { streamResponse } from "../live/sse.ts";
import { problemOf } from "../problem.ts";
import { ChatChunks } from "./chunks.ts";
import { openAiErrorOf, RUN_HEADER } from "./errors.ts";

/**
 * A run of `inference` as a stream of chunks, from its beginning, whether it began now or has ended long ago. The run goes on
 * without its readers.
 */
export async function chunkResponse(
  c: Context<Env>,
  gateway: Gateway,
  started: StartedRun,
  options: { model: string; includeUsage: boolean },
): Promise<Response> {
  const { id, created } = started;
  const past = created ? 0 : (await gateway.millrace.runs.summary(id, { tenant: tenantOf(c) })).seq;
  const abort = new AbortController();
  const chunks = new ChatChunks(id, { ...options, past });
  const messages = events(gateway, { run: id, tenant: tenantOf(c), chunks, signal: abort.signal });
  return streamResponse(c, gateway, { messages, abort, headers: { [RUN_HEADER]: id } });
}

interface Streamed {
  run: string;
  tenant: string;
  chunks: ChatChunks;
  signal: AbortSignal;
}

/** What goes wrong is told in the stream, which then ends without `[DONE]`. */
async function* events(gateway: Gateway, { run, tenant, chunks, signal }: Streamed): AsyncGenerator<string> {
  const { millrace, log } = gateway;
  try {
    for await (const message of millrace.watch(run, { tenant, signal }))
      for (const chunk of chunks.take(message)) yield eventOf(chunk);
    if (signal.aborted) return;
    for (const chunk of chunks.end(await millrace.runs.get(run, { tenant }))) yield eventOf(chunk);
    yield "data: [DONE]\n\n";
  } catch (error) {
    const problem = problemOf(error);
    if (problem.status >= 500) log.warn("the chunks of {run} ended early: {error}", { run, error });
    yield eventOf({ error: openAiErrorOf(problem) });
  }
}

function eventOf(data: object): string {
  return `data: ${JSON.stringify(data)}\n\n`;
}
