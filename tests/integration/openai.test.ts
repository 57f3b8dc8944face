import { expect, test } from "vitest";
import { TestStream } from "../support/live-clients.ts";
import { beginStream, modelServer, sendChunk, streamAnswer } from "../support/model-server.ts";
import { Product } from "../support/product.ts";

const KEY = "the operator's own secret";
const SETTINGS = { OPENAI_API_KEY: KEY, OPENAI_MODEL: "test-model" };

test("a prompt is answered by the OpenAI-compatible server that the worker was told of, as its answer comes", async () => {
  const asked = Promise.withResolvers<void>();
  const go = Promise.withResolvers<void>();
  await using server = await modelServer(async (response, { body }) => {
    if (body.messages[0].content !== "Slowly") return streamAnswer(response, ["Hel", "lo."]);
    beginStream(response);
    sendChunk(response, { content: "One, " });
    asked.resolve();
    await go.promise;
    sendChunk(response, { content: "two.", finish: "stop" });
    response.end("data: [DONE]\n\n");
  });
  await using product = await Product.start("node", { OPENAI_BASE_URL: server.baseURL, ...SETTINGS });

  const waited = await product.post("/v1/inference", { prompt: "Hi", max_tokens: 9 }, { Prefer: "wait=10" });
  expect(waited.status).toBe(200);
  expect(waited.body).toMatchObject({ status: "completed", output: { text: "Hello.", model: "test-model" } });
  expect(server.requests).toMatchObject([
    {
      path: "/v1/chat/completions",
      headers: { authorization: `Bearer ${KEY}`, "idempotency-key": `${waited.body.id}:generate` },
      body: { model: "test-model", stream: true, max_tokens: 9, messages: [{ role: "user", content: "Hi" }] },
    },
  ]);

  const init = product.json({ prompt: "Slowly", model: "another" }, { Accept: "text/event-stream" });
  const stream = await TestStream.open(`${product.url}/v1/inference`, init);
  await asked.promise;
  // The first words are there while the server still thinks.
  expect(await stream.ofType("step.output")).toMatchObject({ step: "generate", data: { text: "One, " } });
  go.resolve();
  await stream.ended;
  expect(stream.messages.at(-1)).toMatchObject({ type: "run.completed" });
  const said = stream.messages.flatMap(({ type, data }) => (type === "step.output" ? [data.text] : []));
  expect(said.join("")).toBe("One, two.");
  expect(server.requests[1]).toMatchObject({ body: { model: "another" } });
});

test("a server that refuses the key ends the run at once, readably and without the key", async () => {
  await using server = await modelServer((response) => {
    response.writeHead(401, { "Content-Type": "application/json" });
    response.end(JSON.stringify({ error: { message: `Incorrect API key provided: ${KEY}.` } }));
  });
  await using product = await Product.start("node", { OPENAI_BASE_URL: server.baseURL, ...SETTINGS });
  const { status, body: run } = await product.post("/v1/inference", { prompt: "Hi" }, { Prefer: "wait=10" });
  expect(status).toBe(200);
  expect(run).toMatchObject({
    status: "failed",
    error: { code: "model_unauthorized", message: expect.stringContaining("Incorrect API key") },
    steps: { generate: { attempt: 1 } },
  });
  expect(server.requests).toHaveLength(1);
  for (const text of [JSON.stringify(run), product.worker.output(), product.gateway.output()])
    expect(text).not.toContain(KEY);
});
