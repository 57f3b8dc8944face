import type { ServerResponse } from "node:http";
import { expect, test } from "vitest";
import { FsBlobStore } from "../../engine/blobs/fs.ts";
import { decodeFloats } from "../../workflows/embeddings/floats.ts";
import embed from "../../workflows/embeddings/steps/embed.ts";
import type { EmbeddingsInput, EmbeddingsOutput } from "../../workflows/embeddings/workflow.ts";
import { type ModelRequest, modelServer } from "../support/model-server.ts";
import { temporaryDir } from "../support/run.ts";
import { stepContext } from "../support/step-context.ts";

/** Each vector is the length of its text; one of "bad" refuses the whole call, and "busy" asks for patience. */
function answer(response: ServerResponse, { body }: ModelRequest): void {
  const { input } = body as { input: string[] };
  const [status, headers] = input.includes("bad")
    ? [400, {}]
    : input.includes("busy")
      ? [429, { "Retry-After": "7" }]
      : [200, {}];
  response.writeHead(status, { "Content-Type": "application/json", ...headers });
  const data = input.map((text, index) => ({ object: "embedding", index, embedding: [text.length] }));
  const error = { message: "No." };
  response.end(JSON.stringify(status === 200 ? { data, usage: { prompt_tokens: 2 * input.length } } : { error }));
}

/** What a batch of runs comes to. */
async function batch(inputs: EmbeddingsInput[], signals: AbortSignal[] = []) {
  await using server = await modelServer(answer);
  const blobs = new FsBlobStore(await temporaryDir());
  const env = { OPENAI_BASE_URL: server.baseURL, OPENAI_EMBEDDING_MODEL: "embedder" };
  const ctxs = inputs.map((_, i) => stepContext(blobs, { env, ...(signals[i] && { signal: signals[i] }) }));
  const results = await Promise.all(await embed(inputs, ctxs));
  const asked = server.requests.map(({ body }) => body.input);
  return { results, asked, used: ctxs.map(({ used }) => used), models: server.requests.map(({ body }) => body.model) };
}
const vectors = (result: EmbeddingsOutput | Error) =>
  result instanceof Error ? result.message : result.embeddings.flatMap(decodeFloats);

test("the texts of several runs go in one call, and each has its own vectors and its share of the tokens", async () => {
  const { results, asked, used, models } = await batch([{ texts: ["a", "bb"] }, { texts: ["ccc"] }]);
  expect(results.map(vectors)).toEqual([[1, 2], [3]]);
  expect([asked, models]).toEqual([[["a", "bb", "ccc"]], ["embedder"]]);
  expect(used).toEqual([[{ tokens: 3 }], [{ tokens: 3 }]]);
});

test("those of other models, lengths and users go in calls of their own", async () => {
  const more: Partial<EmbeddingsInput>[] = [
    {},
    { model: "other" },
    { dimensions: 5 },
    { user_id: "ann" },
    { model: "embedder" },
  ];
  const { asked, used } = await batch(more.map((each) => ({ texts: ["a"], ...each })));
  expect(asked.map((texts) => texts.length).sort()).toEqual([1, 1, 1, 2]);
  expect(used[3]).toEqual([{ tokens: 2, key: "ann" }]);
});

test("what is refused of one run is asked again for each, and fails that one alone", async () => {
  const { results, asked } = await batch([{ texts: ["a"] }, { texts: ["bad"] }, { texts: ["ccc"] }]);
  expect(results.map(vectors)).toEqual([[1], "The model server answered 400: No.", [3]]);
  expect(results[1]).toMatchObject({ name: "FatalError", code: "model_request" });
  expect(asked).toHaveLength(4);
});

test("a server without room is asked again later, for all of them", async () => {
  const { results, asked } = await batch([{ texts: ["a"] }, { texts: ["busy"] }]);
  for (const result of results) expect(result).toMatchObject({ name: "RetryAfterError", retryAfterMs: 7_000 });
  expect(asked).toHaveLength(1);
});

test("a call goes on for whom it is left, and ends with the last", async () => {
  const gone = AbortSignal.abort(new Error("cancelled"));
  const { results } = await batch([{ texts: ["a"] }, { texts: ["bb"] }], [gone]);
  expect(vectors(results[1]!)).toEqual([2]);
  const { results: none, asked } = await batch([{ texts: ["a"] }, { texts: ["bb"] }], [gone, gone]);
  expect(none.map(vectors)).toEqual(["cancelled", "cancelled"]);
  expect(asked).toEqual([]);
});

test("without a server there is the embedded model, and no other", async () => {
  const ctx = stepContext(new FsBlobStore(await temporaryDir()));
  const texts = ["A bridge."];
  const [known, unknown] = await Promise.all(await embed([{ texts }, { texts, model: "gpt-9" }], [ctx, ctx]));
  expect(known).toMatchObject({ model: "millrace-hashing-1", usage: { inputTokens: 2 } });
  expect(unknown).toMatchObject({ name: "FatalError", code: "model_unavailable" });
});
