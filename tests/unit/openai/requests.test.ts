import * as v from "valibot";
import { describe, expect, test } from "vitest";
import { validate } from "../../../engine/index.ts";
import { check } from "../../../gateway/json.ts";
import { type ChatRequest, chatRequest, inferenceOf } from "../../../gateway/openai/chat-request.ts";
import { embeddingsRequest } from "../../../gateway/openai/embeddings.ts";
import type { ProblemError } from "../../../gateway/problem.ts";
import { inference } from "../../../workflows/inference/workflow.ts";

const messages = [{ role: "user", content: "Hi" }];
const model = "m";

/** Where a request does not fit, and what is said of it. */
function refusal(schema: v.GenericSchema, request: object): string {
  try {
    check(schema, request, "body");
  } catch (error) {
    const [first] = (error as ProblemError).errors!;
    return `${first!.path.join(".")}: ${first!.message}`;
  }
  return "none";
}

describe("a chat completion's request", () => {
  test("becomes the workflow's input, which takes it", async () => {
    const tool = { type: "function", function: { name: "weather", parameters: { type: "object" }, strict: true } };
    const request = {
      messages: [
        { role: "developer", content: [{ type: "text", text: "Be brief." }] },
        { role: "user", name: "ann", content: [{ type: "image_url", image_url: { url: "https://a.example/b.png" } }] },
        {
          role: "assistant",
          content: null,
          tool_calls: [{ id: "c1", type: "function", function: { name: "weather", arguments: "{}" } }],
        },
        { role: "tool", tool_call_id: "c1", content: "Rain." },
      ],
      ...{ model, max_completion_tokens: 9, max_tokens: 7, stop: "end", user: "u", tools: [tool], tool_choice: "auto" },
      ...{ temperature: 0.5, top_p: 0.9, seed: 7, n: 1, response_format: { type: "json_object" }, stream: true },
    };
    const { stream, n, user, stop, max_completion_tokens, max_tokens, ...same } = request;
    const input = inferenceOf(v.parse(chatRequest, request));
    expect(await validate(inference.input, input, "input")).toMatchObject({
      ...same,
      ...{ user_id: "u", stop: ["end"], max_tokens: 9 },
    });
    expect(JSON.parse(JSON.stringify(input))).not.toHaveProperty("stream");
  });

  test("takes null for what is not given, messages as replies have them, and what changes nothing", () => {
    const reply = { role: "assistant", content: "Hello", refusal: null, annotations: [], audio: null };
    const nothing = { temperature: null, max_tokens: null, tools: null, stop: null, functions: null, audio: null };
    const harmless = {
      store: true,
      service_tier: "auto",
      prompt_cache_key: "k",
      modalities: ["text"],
      logprobs: false,
    };
    const request = { messages: [...messages, reply], model, ...nothing, ...harmless };
    const input = inferenceOf(v.parse(chatRequest, request) as ChatRequest);
    expect(JSON.parse(JSON.stringify(input))).toEqual({
      messages: [...messages, { role: "assistant", content: "Hello", refusal: null, audio: null }],
      model,
    });
  });

  test.each([
    ["messages", { messages: [] }],
    ["messages", { messages: "Hi" }],
    ["messages.0.role", { messages: [{ role: "bot", content: "Hi" }] }],
    ["messages.0.content", { messages: [{ role: "user" }] }],
    ["messages.0.content.0.type", { messages: [{ role: "user", content: [{ type: "input_audio" }] }] }],
    ["messages.0.content.0.text", { messages: [{ role: "user", content: [{ type: "text", text: 5 }] }] }],
    [
      "messages.0.content.0.image_url.url",
      { messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: "file:///etc/passwd" } }] }] },
    ],
    ["messages.0.tool_calls.0.type", { messages: [{ role: "assistant", tool_calls: [{ id: "a", type: "custom" }] }] }],
    ["model", { model: 5 }],
    ["model", { model: undefined }],
    ["n", { n: 2 }],
    ["temperature", { temperature: 3 }],
    ["max_tokens", { max_tokens: 0 }],
    ["stop", { stop: ["a", "b", "c", "d", "e"] }],
    ["tools.0.type", { tools: [{ type: "custom" }] }],
    ["tool_choice", { tool_choice: "sometimes" }],
    ["response_format.type", { response_format: { type: "xml" } }],
    ["logprobs", { logprobs: true }],
    ["modalities.0", { modalities: ["audio"] }],
    ["functions", { functions: [] }],
    ["web_search_options", { web_search_options: {} }],
    ["top_k", { top_k: 5 }],
    ["stream_options.more", { stream_options: { more: 1 } }],
  ])("is refused by name: %s", (path, bad) => {
    expect(refusal(chatRequest, { messages, model, ...bad })).toMatch(new RegExp(`^${path.replaceAll(".", "\\.")}: .`));
  });
});

describe("a request for embeddings", () => {
  test.each([
    ["input", {}],
    ["input", { input: "" }],
    ["input", { input: [] }],
    ["input.1", { input: ["a", ""] }],
    ["input.0", { input: [5, 6] }],
    ["input.0", { input: [[5, 6]] }],
    ["encoding_format", { input: "a", encoding_format: "hex" }],
    ["dimensions", { input: "a", dimensions: 4_097 }],
    ["truncate", { input: "a", truncate: true }],
  ])("is refused by name: %s", (path, bad) => {
    expect(refusal(embeddingsRequest, { model, ...bad })).toMatch(new RegExp(`^${path.replaceAll(".", "\\.")}: .`));
  });
});
