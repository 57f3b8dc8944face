import type { Context } from "hono";
import type { RunView, StartedRun } from "../../engine/index.ts";
import { startFor } from "../access/caller.ts";
import type { Answers } from "../api/declaration.ts";
import type { Asked, Operations } from "../api/operations.ts";
import type { Env, Gateway } from "../context.ts";
import { idempotency } from "../idempotency.ts";
import { chatRequest, inferenceOf } from "../openai/chat-request.ts";
import { chatCompletion } from "../openai/completion.ts";
import { embeddingList, embeddingsInputOf, embeddingsRequest } from "../openai/embeddings.ts";
import { notEnded, RUN_HEADER, runFailure } from "../openai/errors.ts";
import { checkChat, checkEmbedding, modelsOf, noSuchModel } from "../openai/models.ts";
import { chunkResponse } from "../openai/stream.ts";
import { completionView, embeddingListView, modelListView, modelView, openAiError } from "../views/openai.ts";
import { endsWithin } from "../waiting.ts";

const PROBLEMS = [400, 404, 409, 500, 502, 503, 504];
const OF_RUN = { [RUN_HEADER]: "The id of the run that it is." };

/** OpenAI's API, backed by runs: the same Idempotency-Key gives the same run, streamed from its beginning or not. */
export function openAiOperations(operations: Operations, gateway: Gateway): void {
  const { millrace, limits, remoteModels } = gateway;
  const common = { tag: "Models", scope: "runs:write", errors: openAiError } as const;
  const asking = {
    ...common,
    idempotent: "by-key",
    traced: true,
    bodyBytes: limits.modelRequestBytes,
    problems: PROBLEMS,
  } as const;

  /** Asked of the store, so that a deployment through another gateway is seen. */
  const models = async () => {
    await millrace.config.refresh();
    return modelsOf(remoteModels, millrace.config.all());
  };

  operations
    .on(
      "post",
      "/v1/chat/completions",
      {
        ...asking,
        id: "createChatCompletion",
        summary: "Have a model go on with a conversation, as OpenAI's chat completions do",
        description:
          "It is a run of the workflow `inference`. With `stream` the answer is a stream of `chat.completion.chunk` as Server-Sent Events; what goes wrong by then is its last event.",
        body: chatRequest,
        answers: { 200: { description: "The answer.", schema: completionView, headers: OF_RUN } },
      },
      async (asked) => {
        const { c, body, reply } = asked;
        const input = inferenceOf(body);
        checkChat(body.model, input, remoteModels);
        const started = await start(asked, gateway, "inference", input, body.metadata ?? undefined);
        if (body.stream === true) {
          const includeUsage = body.stream_options?.include_usage === true;
          return chunkResponse(c, gateway, started, { model: body.model, includeUsage });
        }
        const run = await completed(asked, gateway, started);
        return reply(200, chatCompletion(run), { [RUN_HEADER]: run.id });
      },
    )
    .on(
      "post",
      "/v1/embeddings",
      {
        ...asking,
        id: "createEmbeddings",
        summary: "Make vectors of texts, as OpenAI's embeddings do",
        description: "It is a run of the workflow `embeddings`.",
        body: embeddingsRequest,
        answers: { 200: { description: "The vectors.", schema: embeddingListView, headers: OF_RUN } },
      },
      async (asked) => {
        const { body, reply } = asked;
        checkEmbedding(body.model, remoteModels);
        const started = await start(asked, gateway, "embeddings", embeddingsInputOf(body));
        const run = await completed(asked, gateway, started);
        return reply(200, embeddingList(run, body), { [RUN_HEADER]: run.id });
      },
    )
    .on(
      "get",
      "/v1/models",
      {
        ...common,
        id: "listModels",
        summary: "List the models, as OpenAI does",
        answers: { 200: { description: "All of them.", schema: modelListView } },
      },
      async ({ reply }) => reply(200, { object: "list", data: await models() }),
    )
    .on(
      "get",
      "/v1/models/{model}",
      {
        ...common,
        id: "getModel",
        summary: "See one model, as OpenAI shows it",
        answers: { 200: { description: "The model.", schema: modelView } },
        problems: [404],
      },
      async ({ c, reply }) => {
        const model = c.req.param("model") ?? "";
        const found = (await models()).find(({ id }) => id === model);
        if (found === undefined) throw noSuchModel(model);
        return reply(200, found);
      },
    );
}

/** What both need of a request. */
interface Request extends Pick<Asked<unknown, unknown, Answers>, "caller" | "tenant" | "key" | "trace"> {
  readonly c: Context<Env>;
}

/** Starts a run, or finds that of the key. How the answer is to be sent is no part of what was asked. */
async function start(
  { caller, tenant, key, trace }: Request,
  gateway: Gateway,
  workflow: string,
  input: object,
  metadata?: Record<string, string>,
): Promise<StartedRun> {
  const same = await idempotency(key, `openai.${workflow}`, [JSON.stringify([input, metadata])]);
  const options = { tenant, metadata, ...trace, ...same };
  return startFor(gateway, caller, () => gateway.millrace.runs.start(workflow, input, options));
}

/** The run when it has completed. @throws ProblemError 504 if that takes too long, and as its failure is answered */
async function completed({ c, tenant, key }: Request, gateway: Gateway, { id }: StartedRun): Promise<RunView> {
  const { completionMs } = gateway.limits;
  if (!(await endsWithin(c, gateway, id, completionMs))) throw notEnded(id, key !== undefined, completionMs);
  const run = await gateway.millrace.runs.get(id, { tenant });
  if (run.status !== "completed") throw runFailure(run);
  return run;
}
