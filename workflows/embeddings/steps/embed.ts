import { FatalError, type StepContext } from "../../../engine/index.ts";
import { type ModelServer, serverOf } from "../../inference/server.ts";
import { pacer } from "../../pace.ts";
import { encodeFloats } from "../floats.ts";
import { countWords, DIMENSIONS, hashingVector } from "../hashing.ts";
import { HASHING_MODEL } from "../model.ts";
import type { Asked } from "../remote.ts";
import type { EmbeddingsInput, EmbeddingsOutput } from "../workflow.ts";

/** Embeds the texts of several runs, those of one model and user together. What fails one of them fails no other for good. */
export default async function embed(
  inputs: EmbeddingsInput[],
  ctxs: StepContext[],
): Promise<Promise<EmbeddingsOutput | Error>[]> {
  const server = serverOf(ctxs[0]!.env);
  const asked = inputs.map((input, i) => ({ input, ctx: ctxs[i]! }));
  const groups = new Map<string, Asked[]>();
  for (const each of asked) {
    const { model, dimensions, user_id } = each.input;
    const kind = JSON.stringify([model ?? server?.embeddingModel ?? HASHING_MODEL, dimensions, user_id]);
    const group = groups.get(kind);
    if (group === undefined) groups.set(kind, [each]);
    else group.push(each);
  }
  const results = new Map<Asked, Promise<EmbeddingsOutput | Error>>();
  for (const [kind, group] of groups) {
    const [model] = JSON.parse(kind) as [string];
    const embedded = model === HASHING_MODEL ? hashed(group) : served(server, model, group);
    for (const [i, each] of group.entries())
      results.set(
        each,
        embedded.then((all) => told(all[i]!, each)),
      );
  }
  return asked.map((each) => results.get(each)!);
}

function told(result: EmbeddingsOutput | Error, { input, ctx }: Asked): EmbeddingsOutput | Error {
  if (result instanceof Error) return result;
  const tokens = result.usage.inputTokens;
  if (tokens > 0) ctx.usage(input.user_id === undefined ? { tokens } : { tokens, key: input.user_id });
  return result;
}

async function hashed(group: readonly Asked[]): Promise<(EmbeddingsOutput | Error)[]> {
  const results: (EmbeddingsOutput | Error)[] = [];
  for (const { input, ctx } of group) results.push(await oneHashed(input, ctx).catch(asError));
  return results;
}

async function oneHashed({ texts, dimensions = DIMENSIONS }: EmbeddingsInput, ctx: StepContext) {
  const pace = pacer(ctx.signal);
  const vectors: string[] = [];
  for (const text of texts) vectors.push(encodeFloats(await hashingVector(text, dimensions, pace)));
  const inputTokens = texts.reduce((sum, text) => sum + countWords(text), 0);
  return { embeddings: vectors, model: HASHING_MODEL, usage: { inputTokens } };
}

async function served(
  server: ModelServer | undefined,
  model: string,
  group: readonly Asked[],
): Promise<(EmbeddingsOutput | Error)[]> {
  if (server === undefined) {
    const message =
      `There is no model ${JSON.stringify(model)}: no model server is configured (OPENAI_BASE_URL, OPENAI_API_KEY). ` +
      `Leave the model out, or ask for ${HASHING_MODEL}.`;
    return group.map(() => new FatalError(message, { code: "model_unavailable" }));
  }
  // The client is only loaded where there is a server to talk to.
  const { embedOn } = await import("../remote.ts");
  try {
    return await embedOn(server, group);
  } catch (error) {
    if (group.length === 1 || !(error instanceof FatalError)) return group.map(() => asError(error));
    // What is refused may be refused for one of them alone.
    return Promise.all(group.map((each) => embedOn(server, [each]).then(([one]) => one!, asError)));
  }
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
