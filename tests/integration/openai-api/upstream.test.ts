import type { ServerResponse } from "node:http";
import OpenAI from "openai";
import { describe, expect, test } from "vitest";
import { runsOf, textOf, withModelServer } from "../../support/chat.ts";
import { beginStream, sendChunk, streamAnswer } from "../../support/model-server.ts";

const model = "big-model";
const messages: OpenAI.ChatCompletionMessageParam[] = [{ role: "user", content: "Say something." }];

describe("a chat completion of a model server", () => {
  test("hands on all that was asked", async () => {
    await using up = await withModelServer((response) => streamAnswer(response, ["{}"]));
    const said: OpenAI.ChatCompletionMessageParam[] = [
      { role: "developer", content: "Be brief.", name: "rules" },
      {
        role: "user",
        content: [
          { type: "text", text: "What is this?" },
          { type: "image_url", image_url: { url: "https://a.example/b.png" } },
          { type: "image_url", image_url: { url: "data:image/png;base64,AAAA", detail: "low" } },
        ],
      },
      { role: "user", content: "And now?", name: "ann" },
    ];
    const schema = { type: "object", properties: { a: { type: "string" } } };
    const { choices, usage } = await up.client.chat.completions.create({
      ...{ model: "small-model", messages: said, user: "u", seed: 5, temperature: 0.5, top_p: 0.9, stop: ["x"] },
      ...{ frequency_penalty: 0.1, presence_penalty: 0.2, max_tokens: 50, logit_bias: { 5: 1 } },
      ...{ reasoning_effort: "low", verbosity: "high" },
      response_format: { type: "json_schema", json_schema: { name: "thing", schema, strict: true } },
    });
    expect(choices[0]!.message.content).toBe("{}");
    expect(usage).toMatchObject({ prompt_tokens: 9, completion_tokens: 3, total_tokens: 12 });
    expect(up.server.requests.map(({ body }) => body)).toMatchObject([
      {
        messages: said,
        ...{ model: "small-model", user: "u", seed: 5, temperature: 0.5, top_p: 0.9, stop: ["x"] },
        ...{ frequency_penalty: 0.1, presence_penalty: 0.2, max_tokens: 50, logit_bias: { 5: 1 } },
        ...{ reasoning_effort: "low", verbosity: "high" },
        response_format: { type: "json_schema", json_schema: { name: "thing", schema, strict: true } },
      },
    ]);
  });

  test("carries tools and their calls both ways", async () => {
    await using up = await withModelServer((response, { body }) => {
      if (body.messages.length > 1) return streamAnswer(response, ["It rains."]);
      beginStream(response);
      const call = (index: number, fields: object) => ({ index, type: "function", ...fields });
      const delta = (calls: object[]) =>
        response.write(
          `data: ${JSON.stringify({ id: "1", choices: [{ index: 0, delta: { tool_calls: calls } }] })}\n\n`,
        );
      delta([call(0, { id: "c1", function: { name: "weather", arguments: '{"city":' } })]);
      delta([call(0, { function: { arguments: '"Paris"}' } })]);
      delta([call(1, { id: "c2", function: { name: "weather", arguments: '{"city":"Rome"}' } })]);
      sendChunk(response, { content: "", finish: "tool_calls" });
      response.end("data: [DONE]\n\n");
    });
    const parameters = { type: "object", properties: { city: { type: "string" } } };
    const tools: OpenAI.ChatCompletionTool[] = [{ type: "function", function: { name: "weather", parameters } }];
    const asked = { model, messages, tools, tool_choice: "required", parallel_tool_calls: true } as const;
    const calls = [
      { id: "c1", type: "function", function: { name: "weather", arguments: '{"city":"Paris"}' } },
      { id: "c2", type: "function", function: { name: "weather", arguments: '{"city":"Rome"}' } },
    ];
    const { choices } = await up.client.chat.completions.create(asked);
    expect(choices[0]).toMatchObject({ message: { content: null, tool_calls: calls }, finish_reason: "tool_calls" });
    const sent = up.server.requests[0]!.body;
    expect(sent).toMatchObject({ tools, tool_choice: "required", parallel_tool_calls: true });

    const streamed = await up.client.chat.completions.stream(asked).finalChatCompletion();
    expect(streamed.choices[0]!.message.tool_calls).toMatchObject(calls);

    const results = calls.map(({ id }) => ({ role: "tool", tool_call_id: id, content: "rain" }) as const);
    const more = [...messages, choices[0]!.message, ...results];
    const last = await up.client.chat.completions.create({ model, messages: more, tools });
    expect(last.choices[0]!.message.content).toBe("It rains.");
    expect(up.server.requests[2]!.body.messages).toEqual([
      messages[0],
      { role: "assistant", content: null, tool_calls: calls },
      ...results,
    ]);
  });

  test.each([
    [400, OpenAI.BadRequestError, "model_request"],
    [404, OpenAI.NotFoundError, "model_unavailable"],
    [401, OpenAI.InternalServerError, "model_unauthorized"],
  ])("that refuses with %i is told to the client, in the reply or in the stream", async (status, kind, code) => {
    await using up = await withModelServer((response) => {
      response.writeHead(status, { "Content-Type": "application/json" });
      response.end(JSON.stringify({ error: { message: "No, with upstream-key." } }));
    });
    const error = await up.client.chat.completions.create({ model, messages }).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(kind);
    expect(error).toMatchObject({ code });
    expect(error.message).toContain(`The model server answered ${status}: No, with [key].`);
    expect(error.headers.get("millrace-run")).toMatch(/^[\w-]+$/);

    const stream = await up.client.chat.completions.create({ model, messages, stream: true });
    const inStream = await textOf(stream).catch((thrown) => thrown);
    expect(inStream).toBeInstanceOf(OpenAI.APIError);
    expect(inStream).toMatchObject({ code });
    expect(up.server.requests).toHaveLength(2);
  });
});

describe("a client that drops and comes back with its key", () => {
  test("is given the same answer of the same run from its beginning, and the model was asked once", async () => {
    const go = Promise.withResolvers<void>();
    await using up = await withModelServer(async (response) => {
      beginStream(response);
      sendChunk(response, { content: "One, " });
      await go.promise;
      sendChunk(response, { content: "two." });
      sendChunk(response, { content: "", finish: "stop" });
      response.end("data: [DONE]\n\n");
    });
    const options = { headers: { "Idempotency-Key": "come-back" } };
    const ask = () => up.client.chat.completions.create({ model, messages, stream: true }, options).withResponse();
    const first = await ask();
    for await (const { choices } of first.data) if (choices[0]?.delta.content === "One, ") break;
    await expect.poll(() => up.gateway.watched()).toEqual([]);
    const second = await ask();
    const reading = textOf(second.data);
    go.resolve();
    expect(await reading).toBe("One, two.");
    expect(await textOf((await ask()).data)).toBe("One, two.");
    const { choices } = await up.client.chat.completions.create({ model, messages }, options);
    expect(choices[0]!.message.content).toBe("One, two.");

    expect(second.response.headers.get("millrace-run")).toBe(first.response.headers.get("millrace-run"));
    expect(await runsOf(up.gateway)).toBe(1);
    expect(up.server.requests).toHaveLength(1);
  });

  test("finds what nobody has read in the run", async () => {
    const go = Promise.withResolvers<void>();
    await using up = await withModelServer(async (response) => {
      await go.promise;
      streamAnswer(response, ["Nobody reads ", "this."]);
    });
    const asked = await up.client.chat.completions.create({ model, messages, stream: true }).withResponse();
    asked.data.controller.abort();
    await expect.poll(() => up.gateway.watched()).toEqual([]);
    go.resolve();
    const run = asked.response.headers.get("millrace-run")!;
    await expect.poll(async () => (await up.gateway.millrace.runs.get(run)).status).toBe("completed");
    expect((await up.gateway.millrace.runs.get(run)).output).toMatchObject({ text: "Nobody reads this." });
  });

  test("is told when an answer takes too long, and waits for the same one", async () => {
    const go = Promise.withResolvers<void>();
    const answer = async (response: ServerResponse) => {
      await go.promise;
      streamAnswer(response, ["At last."]);
    };
    await using up = await withModelServer(answer, { limits: { completionMs: 50 } });
    const options = { headers: { "Idempotency-Key": "slow" } };
    const ask = () => up.client.chat.completions.create({ model, messages }, options);
    const error = await ask().catch((thrown) => thrown);
    expect(error).toMatchObject({ status: 504, type: "server_error", code: "not_ended" });
    const run = error.headers.get("millrace-run");
    go.resolve();
    await expect.poll(async () => (await up.gateway.millrace.runs.get(run)).status).toBe("completed");
    expect((await ask()).choices[0]!.message.content).toBe("At last.");
    expect(up.server.requests).toHaveLength(1);
  });

  test("without a key does not start a second run by trying again", async () => {
    const go = Promise.withResolvers<void>();
    const answer = async (response: ServerResponse) => {
      await go.promise;
      streamAnswer(response, ["Too late."]);
    };
    await using up = await withModelServer(answer, { limits: { completionMs: 50 } });
    const eager = up.client.withOptions({ maxRetries: 3 });
    const error = await eager.chat.completions.create({ model, messages }).catch((thrown) => thrown);
    expect(error).toMatchObject({ status: 504, code: "not_ended" });
    expect(await runsOf(up.gateway)).toBe(1);
    go.resolve();
  });
});

describe("an attempt that fails in the middle of a stream", () => {
  const cutThen = (answer: string[]) => {
    let asked = 0;
    return withModelServer((response) => {
      asked += 1;
      if (asked > 1) return streamAnswer(response, answer);
      beginStream(response);
      sendChunk(response, { content: "One, " });
      response.write("data: ", () => response.destroy());
    });
  };
  const ask = (client: OpenAI) =>
    client.chat.completions.create({ model, messages, stream: true }, { headers: { "Idempotency-Key": "cut" } });

  test("is not seen, where the next one says the same and more", async () => {
    await using up = await cutThen(["One, ", "two."]);
    expect(await textOf(await ask(up.client))).toBe("One, two.");
    expect(up.server.requests).toHaveLength(2);
  });

  test("is told, where the next one says something else, and the whole answer is had with the key", async () => {
    await using up = await cutThen(["Two, ", "one."]);
    const error = await textOf(await ask(up.client)).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(OpenAI.APIError);
    expect(error).toMatchObject({ code: "attempt_restarted" });
    expect(await textOf(await ask(up.client))).toBe("Two, one.");
    expect(await runsOf(up.gateway)).toBe(1);
  });
});

describe("embeddings of a model server", () => {
  const answerWith =
    (usage: number) =>
    (response: ServerResponse, { body }: { body: { input: string[] } }) => {
      response.writeHead(body.input.includes("bad") ? 400 : 200, { "Content-Type": "application/json" });
      const data = body.input.map((text, index) => ({ object: "embedding", index, embedding: [text.length, 0.5] }));
      const error = { message: "That is bad." };
      response.end(JSON.stringify(body.input.includes("bad") ? { error } : { data, usage: { prompt_tokens: usage } }));
    };

  test("are asked for with all that was asked, and counted as it says", async () => {
    await using up = await withModelServer(answerWith(7));
    const asked = { model: "embedder", input: ["a", "bcd"], dimensions: 2, user: "u" };
    const { data, usage } = await up.client.embeddings.create(asked);
    expect(data.map(({ embedding }) => embedding)).toEqual([
      [1, 0.5],
      [3, 0.5],
    ]);
    expect(usage).toEqual({ prompt_tokens: 7, total_tokens: 7 });
    const [{ path, body }] = up.server.requests as [(typeof up.server.requests)[number]];
    expect([path, body]).toMatchObject(["/v1/embeddings", { ...asked, encoding_format: "float" }]);
  });

  test("of several clients go together, and what is refused of one is refused of no other", async () => {
    await using up = await withModelServer(answerWith(2));
    const texts = ["one", "two", "bad", "three"];
    const results = await Promise.allSettled(
      texts.map((input) => up.client.embeddings.create({ model: "embedder", input })),
    );
    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "rejected", "fulfilled"]);
    expect((results[2] as PromiseRejectedResult).reason).toMatchObject({ status: 400, code: "model_request" });
  });
});

test("the models of a server are listed, those that were deployed on it too", async () => {
  await using up = await withModelServer(() => {});
  await up.gateway.call("POST", "/v1/models/tuned/deployments", { version: "3" });
  const { data } = await up.client.models.list();
  const embedded = ["millrace-extractive-1", "millrace-hashing-1"];
  expect(data.map(({ id }) => id)).toEqual([...embedded, "big-model", "embedder", "small-model", "tuned"]);
  expect(data.at(-1)).toMatchObject({ owned_by: "model-server", version: "3" });
});
