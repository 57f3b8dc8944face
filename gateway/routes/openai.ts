import { type Context, Hono } from "hono";
import type { RunView, StartedRun } from "../../engine/index.ts";
import { type Env, type Gateway, tenantOf } from "../context.ts";
import { idempotency, idempotencyKey } from "../idempotency.ts";
import { readJson } from "../json.ts";
import { chatRequest, inferenceOf } from "../openai/chat-request.ts";
import { chatCompletion } from "../openai/completion.ts";
import { embeddingList, embeddingsInputOf, embeddingsRequest } from "../openai/embeddings.ts";
import { notEnded, RUN_HEADER, runFailure } from "../openai/errors.ts";
import { checkChat, checkEmbedding, modelsOf, noSuchModel } from "../openai/models.ts";
import { chunkResponse } from "../openai/stream.ts";
import { endsWithin } from "../waiting.ts";

/** OpenAI's API, backed by runs: the same Idempotency-Key gives the same run, streamed from its beginning or not. */
export function openAiRoutes(gateway: Gateway): Hono<Env> {
  const { millrace } = gateway;
  const limits = { ...gateway.limits, jsonBytes: gateway.limits.modelRequestBytes };
  const routes = new Hono<Env>();

  routes.post("/v1/chat/completions", async (c) => {
    const { value } = await readJson(c, chatRequest, limits);
    const input = inferenceOf(value);
    checkChat(value.model, input, gateway.remoteModels);
    const started = await start(c, gateway, "inference", input, value.metadata ?? undefined);
    if (value.stream === true) {
      const includeUsage = value.stream_options?.include_usage === true;
      return chunkResponse(c, gateway, started, { model: value.model, includeUsage });
    }
    const run = await completed(c, gateway, started);
    return c.json(chatCompletion(run), 200, { [RUN_HEADER]: run.id });
  });

  routes.post("/v1/embeddings", async (c) => {
    const { value } = await readJson(c, embeddingsRequest, limits);
    checkEmbedding(value.model, gateway.remoteModels);
    const started = await start(c, gateway, "embeddings", embeddingsInputOf(value));
    const run = await completed(c, gateway, started);
    return c.json(embeddingList(run, value), 200, { [RUN_HEADER]: run.id });
  });

  /** Asked of the store, so that a deployment through another gateway is seen. */
  const models = async () => {
    await millrace.config.refresh();
    return modelsOf(gateway.remoteModels, millrace.config.all());
  };

  routes.get("/v1/models", async (c) => c.json({ object: "list", data: await models() }));

  routes.get("/v1/models/:model", async (c) => {
    const model = c.req.param("model");
    const found = (await models()).find(({ id }) => id === model);
    if (found === undefined) throw noSuchModel(model);
    return c.json(found);
  });

  return routes;
}

/** Starts a run, or finds that of the key. How the answer is to be sent is no part of what was asked. */
async function start(
  c: Context<Env>,
  { millrace }: Gateway,
  workflow: string,
  input: object,
  metadata?: Record<string, string>,
): Promise<StartedRun> {
  const sent = JSON.stringify([input, metadata]);
  const same = await idempotency(idempotencyKey(c), `openai.${workflow}`, [sent]);
  return millrace.runs.start(workflow, input, { tenant: tenantOf(c), metadata, ...same });
}

/** The run when it has completed. @throws ProblemError 504 if that takes too long, and as its failure is answered */
async function completed(c: Context<Env>, gateway: Gateway, { id }: StartedRun): Promise<RunView> {
  const { completionMs } = gateway.limits;
  const hasKey = idempotencyKey(c) !== undefined;
  if (!(await endsWithin(c, gateway, id, completionMs))) throw notEnded(id, hasKey, completionMs);
  const run = await gateway.millrace.runs.get(id, { tenant: tenantOf(c) });
  if (run.status !== "completed") throw runFailure(run);
  return run;
}
