import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { embeddings, inference } from "../../../workflows/index.ts";
import { BRIDGE, clientOf, EXTRACTIVE, HASHING, runsOf, textOf } from "../../support/chat.ts";
import { startGateway, type TestGateway } from "../../support/gateway.ts";

let gateway: TestGateway;
let client: OpenAI;
beforeAll(async () => {
  gateway = await startGateway({ workflows: [inference, embeddings] });
  client = clientOf(gateway);
});
afterAll(() => gateway.close());

const model = EXTRACTIVE;
const messages: OpenAI.ChatCompletionMessageParam[] = [
  { role: "user", content: `${BRIDGE} When was the bridge built?` },
];
const ANSWER = "The bridge was built in 1894.";

describe("a chat completion of the embedded model", () => {
  test("is answered as OpenAI does, by a run", async () => {
    const asked = client.chat.completions.create({ model, messages, user: "ann", metadata: { team: "bridges" } });
    const { data, response } = await asked.withResponse();
    const run = response.headers.get("millrace-run")!;
    expect(data).toEqual({
      id: `chatcmpl-${run}`,
      object: "chat.completion",
      created: expect.any(Number),
      model,
      choices: [
        {
          index: 0,
          message: { role: "assistant", content: ANSWER, refusal: null },
          logprobs: null,
          finish_reason: "stop",
        },
      ],
      usage: { prompt_tokens: 21, completion_tokens: 6, total_tokens: 27 },
    });
    expect(Math.abs(data.created - Date.now() / 1_000)).toBeLessThan(600);
    const view = await gateway.millrace.runs.get(run);
    expect(view).toMatchObject({ workflow: "inference", usage: { tokens: 27 }, metadata: { team: "bridges" } });
    expect(await gateway.millrace.usage({ key: "ann" })).toMatchObject({ tokens: 27 });
  });

  test("is streamed, with its usage where that is asked for", async () => {
    const asked = { model, messages, stream: true, stream_options: { include_usage: true } } as const;
    const chunks: OpenAI.ChatCompletionChunk[] = [];
    for await (const chunk of await client.chat.completions.create(asked)) chunks.push(chunk);
    expect(chunks[0]!.choices[0]!.delta).toEqual({ role: "assistant", content: "" });
    expect(chunks.map(({ choices }) => choices[0]?.delta.content ?? "").join("")).toBe(ANSWER);
    expect(chunks.at(-2)!.choices[0]!.finish_reason).toBe("stop");
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { prompt_tokens: 21, completion_tokens: 6 } });
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
  });

  test("is streamed as events that end with [DONE]", async () => {
    const { headers, body } = await gateway.call("POST", "/v1/chat/completions", { model, messages, stream: true });
    expect(headers.get("content-type")).toBe("text/event-stream");
    expect(body.endsWith("data: [DONE]\n\n")).toBe(true);
  });

  test("is told by the client's own helpers, too", async () => {
    const stream = client.chat.completions.stream({ model, messages });
    expect(await stream.finalContent()).toBe(ANSWER);
  });

  test("answers from a conversation: what the user said before is a source, what was asked then is none", async () => {
    const said: OpenAI.ChatCompletionMessageParam[] = [
      { role: "system", content: "You are a guide." },
      { role: "user", content: `${BRIDGE} When was it designed?` },
      { role: "assistant", content: "The bridge was built in 2077." },
      { role: "user", content: [{ type: "text", text: "When was the bridge built?" }] },
    ];
    const { choices } = await client.chat.completions.create({ model, messages: said });
    expect(choices[0]!.message.content).toBe(ANSWER);
  });

  test("ends at a stop, and is cut at the most tokens", async () => {
    const stopped = await client.chat.completions.create({ model, messages, stop: [" in"] });
    expect(stopped.choices[0]).toMatchObject({ message: { content: "The bridge was built" }, finish_reason: "stop" });
    const cut = await client.chat.completions.create({ model, messages, max_completion_tokens: 2 });
    expect(cut.choices[0]).toMatchObject({ message: { content: "The bridge " }, finish_reason: "length" });
  });

  test("with one Idempotency-Key is one run, streamed or not, and another body is refused", async () => {
    const before = await runsOf(gateway);
    const options = { headers: { "Idempotency-Key": "once" } };
    const first = await client.chat.completions.create({ model, messages }, options);
    const again = await client.chat.completions.create({ model, messages }, options);
    const stream = await client.chat.completions.create({ model, messages, stream: true }, options);
    expect(again).toEqual(first);
    expect(await textOf(stream)).toBe(ANSWER);
    expect(await runsOf(gateway)).toBe(before + 1);
    const other = client.chat.completions.create({ model, messages, max_tokens: 5 }, options);
    await expect(other).rejects.toMatchObject({ status: 422, code: "idempotency_mismatch" });
  });
});

describe("what the embedded model cannot do is a bad request, and no run", () => {
  const tool = { type: "function", function: { name: "weather", parameters: { type: "object" } } } as const;
  const image = { type: "image_url", image_url: { url: "https://a.example/b.png" } } as const;
  test.each<[string, Partial<OpenAI.ChatCompletionCreateParamsNonStreaming>]>([
    ["tools", { tools: [tool] }],
    ["tool_choice", { tool_choice: "required" }],
    ["response_format", { response_format: { type: "json_object" } }],
    ["messages[0].content", { messages: [{ role: "user", content: [image] }] }],
    ["logit_bias", { logit_bias: { 5: 1 } }],
    ["reasoning_effort", { reasoning_effort: "high" }],
    ["messages", { messages: [{ role: "user", content: "word ".repeat(21_000) }] }],
    ["n", { n: 2 }],
    ["logprobs", { logprobs: true }],
    ["temperature", { temperature: 9 }],
    ["model", { model: HASHING }],
  ])("%s", async (param, bad) => {
    const before = await runsOf(gateway);
    const error = await client.chat.completions.create({ model, messages, ...bad }).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(OpenAI.BadRequestError);
    expect(error).toMatchObject({ status: 400, type: "invalid_request_error", param });
    expect(await runsOf(gateway)).toBe(before);
  });

  test("nor is a model that is not there, streamed or not", async () => {
    for (const stream of [false, true]) {
      const error = await client.chat.completions
        .create({ model: "gpt-9", messages, stream })
        .catch((thrown) => thrown);
      expect(error).toBeInstanceOf(OpenAI.NotFoundError);
      expect(error).toMatchObject({ code: "model_not_found", param: "model" });
    }
  });

  test("but choosing no tool among tools is no call of one", async () => {
    const { choices } = await client.chat.completions.create({ model, messages, tools: [tool], tool_choice: "none" });
    expect(choices[0]!.message.content).toBe(ANSWER);
  });

  test("nor is it taken as a prompt", async () => {
    const { status, body } = await gateway.call("POST", "/v1/inference", { model, prompt: "Hi", tools: [tool] });
    expect([status, body.errors]).toEqual([400, [{ path: ["tools"], message: `${EXTRACTIVE} calls no tools.` }]]);
  });
});

describe("errors have OpenAI's shape", () => {
  const error = (type: string, code: string | null = null) => ({
    error: { message: expect.stringMatching(/./), type, param: null, code },
  });

  test("for a body that is none", async () => {
    const send = (body: string, type = "application/json") =>
      fetch(`${gateway.url}/v1/chat/completions`, { method: "POST", body, headers: { "Content-Type": type } });
    const [broken, text] = [await send("{"), await send("hello", "text/plain")];
    expect([broken.status, await broken.json()]).toEqual([400, error("invalid_request_error", "malformed_json")]);
    expect([text.status, await text.json()]).toEqual([415, error("invalid_request_error", "content_type")]);
  });

  test("for a body that is too large", async () => {
    const large = { model, messages: [{ role: "user", content: "x".repeat(8_400_000) }] };
    const { status, body } = await gateway.call("POST", "/v1/chat/completions", large);
    expect([status, body]).toEqual([413, error("invalid_request_error", "body_too_large")]);
  });

  test("for another method", async () => {
    const { status, body, headers } = await gateway.call("GET", "/v1/chat/completions");
    expect([status, body, headers.get("allow")]).toEqual([405, error("invalid_request_error"), "POST"]);
  });

  test("and on other paths their own", async () => {
    const { headers } = await gateway.call("GET", "/v1/models/a/deployments");
    expect(headers.get("content-type")).toBe("application/problem+json");
  });
});

describe("embeddings of the embedded model", () => {
  const cosine = (a: number[], b: number[]) => a.reduce((sum, each, i) => sum + each * b[i]!, 0);

  test("are vectors in the order of the texts, and their usage is counted", async () => {
    const input = ["The bridge was built in 1894.", "When was that bridge built?", "The cat sleeps."];
    const { data, response } = await client.embeddings.create({ model: HASHING, input, user: "bob" }).withResponse();
    expect(data).toMatchObject({ object: "list", model: HASHING, usage: { prompt_tokens: 14, total_tokens: 14 } });
    expect(data.data.map(({ index }) => index)).toEqual([0, 1, 2]);
    const [bridge, question, cat] = data.data.map(({ embedding }) => embedding) as [number[], number[], number[]];
    expect(bridge).toHaveLength(512);
    expect(cosine(bridge, bridge)).toBeCloseTo(1, 5);
    expect(cosine(bridge, question)).toBeGreaterThan(cosine(cat, question) + 0.2);
    const run = await gateway.millrace.runs.get(response.headers.get("millrace-run")!);
    expect(run).toMatchObject({ workflow: "embeddings", usage: { tokens: 14 } });
    expect(await gateway.millrace.usage({ key: "bob" })).toMatchObject({ tokens: 14 });
  });

  test("are the same as base64 and as numbers, as long as is asked", async () => {
    const ask = async (encoding_format: string) => {
      const sent = { model: HASHING, input: "A bridge", dimensions: 64, encoding_format };
      return (await gateway.call("POST", "/v1/embeddings", sent)).body.data[0].embedding;
    };
    const [numbers, base64] = [await ask("float"), await ask("base64")];
    expect(numbers).toHaveLength(64);
    const bytes = Uint8Array.from(Buffer.from(base64, "base64"));
    expect([...new Float32Array(bytes.buffer)]).toEqual([...Float32Array.from(numbers)]);
  });

  test("of many texts travel where large values do", async () => {
    const input = Array.from({ length: 500 }, (_, i) => `text number ${i}`);
    const { data } = await client.embeddings.create({ model: HASHING, input });
    expect(data).toHaveLength(500);
  });

  test("are not made of tokens, nor by other models", async () => {
    const of = (params: OpenAI.EmbeddingCreateParams) => client.embeddings.create(params).catch((thrown) => thrown);
    expect(await of({ model: HASHING, input: [1, 2] })).toMatchObject({ status: 400, param: "input[0]" });
    expect(await of({ model: EXTRACTIVE, input: "a" })).toMatchObject({ status: 400, param: "model" });
    const large = { model: HASHING, input: Array.from({ length: 2_000 }, () => "a"), dimensions: 4_096 };
    expect(await of(large)).toMatchObject({ status: 400, param: "dimensions" });
    const error = await of({ model: "text-embedding-9", input: "a" });
    expect(error).toBeInstanceOf(OpenAI.NotFoundError);
    expect(error).toMatchObject({ code: "model_not_found" });
  });
});

describe("the models", () => {
  test("are the embedded ones, each by its name", async () => {
    const { data } = await client.models.list();
    expect(data.map(({ id }) => id)).toEqual([EXTRACTIVE, HASHING]);
    expect(await client.models.retrieve(HASHING)).toEqual({
      ...{ id: HASHING, object: "model", created: expect.any(Number), owned_by: "millrace" },
    });
    await expect(client.models.retrieve("meta/llama")).rejects.toBeInstanceOf(OpenAI.NotFoundError);
  });

  test("tell what version was deployed, and when", async () => {
    await gateway.call("POST", `/v1/models/${EXTRACTIVE}/deployments`, { version: "7" });
    const deployed = await client.models.retrieve(EXTRACTIVE);
    expect(deployed).toMatchObject({ version: "7" });
    expect(Math.abs(deployed.created - Date.now() / 1_000)).toBeLessThan(600);
  });
});
