import { hexDigest, type StepContext } from "../../engine/index.ts";
import { PROVIDER, providerOf } from "../inference/provider.ts";
import { decided } from "../inference/refusals.ts";
import type { ModelServer } from "../inference/server.ts";
import { encodeFloats } from "./floats.ts";
import type { EmbeddingsInput, EmbeddingsOutput } from "./workflow.ts";

/** One run's part of a batch. */
export interface Asked {
  input: EmbeddingsInput;
  ctx: StepContext;
}

/**
 * Embeds the texts of several runs, which agree in all else, in as few calls as the server takes.
 *
 * @throws as `answerOf` does, for all of them
 */
export async function embedOn(server: ModelServer, asked: readonly Asked[]): Promise<EmbeddingsOutput[]> {
  const { model = server.embeddingModel, dimensions, user_id: user } = asked[0]!.input;
  const texts = asked.flatMap(({ input }) => input.texts);
  const embedder = providerOf(server).embeddingModel(model);
  const atOnce = (await embedder.maxEmbeddingsPerCall) ?? texts.length;
  const signal = whenAll(asked.map(({ ctx }) => ctx.signal));
  const key = await keyOf(asked);
  const vectors: string[] = [];
  let tokens = 0;
  for (let at = 0; at < texts.length; at += atOnce) {
    const values = texts.slice(at, at + atOnce);
    const headers = { "Idempotency-Key": at === 0 ? key : `${key}:${at}` };
    const options = { ...(dimensions === undefined ? {} : { dimensions }), ...(user === undefined ? {} : { user }) };
    try {
      const call = { values, headers, abortSignal: signal, providerOptions: { [PROVIDER]: options } };
      const { embeddings, usage } = await embedder.doEmbed(call);
      if (embeddings.length !== values.length)
        throw new Error(`The model server made ${embeddings.length} vectors of ${values.length} texts.`);
      vectors.push(...embeddings.map(encodeFloats));
      tokens += usage?.tokens ?? 0;
    } catch (error) {
      signal.throwIfAborted();
      throw decided(error, server);
    }
  }
  const lengths = asked.map(({ input }) => input.texts.reduce((sum, text) => sum + text.length, 0));
  const shares = sharesOf(tokens, lengths);
  let from = 0;
  return asked.map(({ input }, i) => {
    const embeddings = vectors.slice(from, from + input.texts.length);
    from += input.texts.length;
    return { embeddings, model, usage: { inputTokens: shares[i]! } };
  });
}

/** A whole number, shared out by weight: the shares are whole, and their sum is the number. */
export function sharesOf(total: number, weights: readonly number[]): number[] {
  const sum = weights.reduce((all, each) => all + each, 0);
  let weight = 0;
  let given = 0;
  return weights.map((each) => {
    weight += each;
    const share = Math.round((total * weight) / sum) - given;
    given += share;
    return share;
  });
}

/** Aborted when all of these are: as long as one run wants its result, the call goes on. */
function whenAll(signals: readonly AbortSignal[]): AbortSignal {
  const all = new AbortController();
  const look = () => {
    if (signals.every(({ aborted }) => aborted)) all.abort(signals[0]!.reason);
  };
  for (const signal of signals) signal.addEventListener("abort", look, { once: true });
  look();
  return all.signal;
}

/** The same for every attempt, if the same runs come together again. */
async function keyOf(asked: readonly Asked[]): Promise<string> {
  const keys = asked.map(({ ctx }) => ctx.idempotencyKey);
  return keys.length === 1 ? keys[0]! : hexDigest("SHA-256", keys.join());
}
