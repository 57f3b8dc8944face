import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, embedMany, generateText, jsonSchema, streamText, tool } from "ai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { embeddings, inference } from "../../../workflows/index.ts";
import { BRIDGE, EXTRACTIVE, HASHING, runsOf } from "../../support/chat.ts";
import { startGateway, type TestGateway } from "../../support/gateway.ts";

let gateway: TestGateway;
let provider: ReturnType<typeof createOpenAICompatible>;
beforeAll(async () => {
  gateway = await startGateway({ workflows: [inference, embeddings] });
  provider = createOpenAICompatible({ name: "millrace", baseURL: `${gateway.url}/v1`, includeUsage: true });
});
afterAll(() => gateway.close());

const prompt = `${BRIDGE} When was the bridge built?`;
const ANSWER = "The bridge was built in 1894.";

describe("the AI SDK, as a client", () => {
  test("generates text", async () => {
    const { text, usage, finishReason } = await generateText({ model: provider.chatModel(EXTRACTIVE), prompt });
    expect([text, finishReason]).toEqual([ANSWER, "stop"]);
    expect(usage).toMatchObject({ inputTokens: 21, outputTokens: 6 });
  });

  test("streams text, and again with the same key, of one run", async () => {
    const before = await runsOf(gateway);
    const ask = () =>
      streamText({ model: provider.chatModel(EXTRACTIVE), prompt, headers: { "Idempotency-Key": "sdk" } });
    const first = ask();
    expect(await first.text).toBe(ANSWER);
    expect(await first.usage).toMatchObject({ inputTokens: 21, outputTokens: 6 });
    expect(await ask().text).toBe(ANSWER);
    expect(await runsOf(gateway)).toBe(before + 1);
  });

  test("embeds many", async () => {
    const values = ["a bridge", "bridges", "the cat"];
    const { embeddings, usage } = await embedMany({ model: provider.embeddingModel(HASHING), values });
    expect(embeddings.map((each) => each.length)).toEqual([512, 512, 512]);
    expect(usage.tokens).toBe(5);
  });

  test("is told what the model cannot do, once", async () => {
    const inputSchema = jsonSchema<object>({ type: "object", properties: {} });
    const weather = tool({ description: "The weather.", inputSchema, execute: () => "rain" });
    const asked = generateText({ model: provider.chatModel(EXTRACTIVE), prompt, tools: { weather } });
    const error = await asked.catch((thrown) => thrown);
    expect(APICallError.isInstance(error) && error.statusCode).toBe(400);
    expect(error.message).toBe(`tools: ${EXTRACTIVE} calls no tools.`);
  });
});
