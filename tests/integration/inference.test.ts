import type { ServerResponse } from "node:http";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { FsBlobStore } from "../../engine/blobs/fs.ts";
import { InvalidInputError, validate } from "../../engine/index.ts";
import generate from "../../workflows/inference/steps/generate.ts";
import { type InferenceInput, inference } from "../../workflows/inference/workflow.ts";
import { beginStream, type ModelServer, modelServer, sendChunk, streamAnswer } from "../support/model-server.ts";
import { temporaryDir } from "../support/run.ts";
import { type RecordedContext, stepContext } from "../support/step-context.ts";

const KEY = "test-0123456789abcdef";
const TEXT =
  "The Eiffel Tower stands in Paris. It was built by the company of Gustave Eiffel from 1887 to 1889. " +
  "The tower is 330 metres tall, about the same height as a building of 81 storeys. Its base is square.";

let blobs: FsBlobStore;
let server: ModelServer | undefined;
beforeAll(async () => {
  blobs = new FsBlobStore(await temporaryDir());
});
afterEach(async () => {
  await server?.close();
  server = undefined;
});

/** Runs the handler against a server that answers so. */
async function ask(
  answer: (response: ServerResponse) => void | Promise<void>,
  input: Partial<InferenceInput> = {},
  given: { signal?: AbortSignal; env?: Record<string, string> } = {},
): Promise<{ ctx: RecordedContext; outcome: Promise<unknown> }> {
  server = await modelServer(answer);
  const env = { OPENAI_BASE_URL: server.baseURL, OPENAI_API_KEY: KEY, OPENAI_MODEL: "test-model", ...given.env };
  const ctx = stepContext(blobs, given.signal === undefined ? { env } : { env, signal: given.signal });
  return { ctx, outcome: generate({ prompt: "Say hello.", ...input }, ctx) };
}

function refuse(status: number, message: string, headers: Record<string, string> = {}) {
  return (response: ServerResponse) => {
    response.writeHead(status, { "Content-Type": "application/json", ...headers });
    response.end(JSON.stringify({ error: { message, type: "some_type", code: null } }));
  };
}

async function failure(outcome: Promise<unknown>): Promise<Error & { code?: string; retryAfterMs?: number }> {
  return outcome.then(
    () => Promise.reject(new Error("it did not fail")),
    (error: Error) => error,
  );
}

describe("a model server", () => {
  test("is asked once, and its answer is passed on as it comes", async () => {
    const { ctx, outcome } = await ask((response) => streamAnswer(response, ["Hel", "lo", "!"]), {
      ...{ model: "big-model", system: "Be brief.", user_id: "user-7", max_tokens: 50 },
    });
    expect(await outcome).toEqual({
      ...{ text: "Hello!", model: "big-model", usage: { inputTokens: 9, outputTokens: 3 }, finishReason: "stop" },
    });
    expect(ctx.emitted).toEqual(["Hel", "lo", "!"]);
    expect(ctx.used).toEqual([{ tokens: 12, key: "user-7" }]);
    const [{ path, headers, body }, ...more] = server!.requests as [ModelServer["requests"][number]];
    expect(more).toEqual([]);
    expect(path).toBe("/v1/chat/completions");
    expect(headers).toMatchObject({ authorization: `Bearer ${KEY}`, "idempotency-key": ctx.idempotencyKey });
    expect(body).toMatchObject({
      ...{ model: "big-model", stream: true, user: "user-7", max_tokens: 50 },
      messages: [
        { role: "system", content: "Be brief." },
        { role: "user", content: "Say hello." },
      ],
    });
  });

  test("needs no key, and answers with the model of the environment where the prompt names none", async () => {
    const { outcome } = await ask((response) => streamAnswer(response, ["Hi"]), {}, { env: { OPENAI_API_KEY: "" } });
    expect(await outcome).toMatchObject({ text: "Hi", model: "test-model" });
    expect(server!.requests[0]!.headers).not.toHaveProperty("authorization");
  });

  test("is not asked for the embedded model", async () => {
    const { outcome } = await ask(refuse(500, "no"), {
      prompt: `How tall is the tower? ${TEXT}`,
      model: "millrace-extractive-1",
    });
    expect(await outcome).toMatchObject({ model: "millrace-extractive-1" });
    expect(server!.requests).toEqual([]);
  });

  test.each([
    [400, "model_request"],
    [401, "model_unauthorized"],
    [403, "model_forbidden"],
    [404, "model_unavailable"],
    [422, "model_request"],
  ])("that refuses with %i fails the step for good", async (status, code) => {
    const { outcome } = await ask(refuse(status, "Your request is bad."));
    const error = await failure(outcome);
    expect(error).toMatchObject({ name: "FatalError", code });
    expect(error.message).toBe(`The model server answered ${status}: Your request is bad.`);
    expect(server!.requests).toHaveLength(1);
  });

  test("does not get its key shown, even if it repeats it", async () => {
    const { outcome } = await ask(refuse(401, `Incorrect API key provided: ${KEY}. Or was it sk-other-99999999?`));
    const error = await failure(outcome);
    expect(error.message).toBe("The model server answered 401: Incorrect API key provided: [key]. Or was it [key]?");
    expect(error).not.toHaveProperty("cause");
    await server!.close();
    const later = await failure((await ask(refuse(500, `boom ${KEY}`))).outcome);
    expect(`${later.message} ${later.stack}`).not.toContain(KEY);
  });

  test("that is busy is asked again when it says", async () => {
    const { outcome } = await ask(refuse(429, "Slow down.", { "Retry-After": "7" }));
    expect(await failure(outcome)).toMatchObject({ name: "RetryAfterError", code: "model_busy", retryAfterMs: 7_000 });
    await server!.close();
    const at = new Date(Date.now() + 60_000).toUTCString();
    const error = await failure((await ask(refuse(503, "Down.", { "Retry-After": at }))).outcome);
    expect(error).toMatchObject({ name: "RetryAfterError", code: "model_unavailable" });
    expect(error.retryAfterMs).toBeGreaterThan(55_000);
    expect(error.retryAfterMs).toBeLessThanOrEqual(60_000);
  });

  test.each([
    [429, "Slow down."],
    [500, "Something broke."],
    [503, "Down."],
  ])("that fails with %i and no time is left to the engine's retries", async (status, message) => {
    const { outcome } = await ask(refuse(status, message));
    const error = await failure(outcome);
    expect(error.message).toContain(message);
    expect(["FatalError", "RetryAfterError"]).not.toContain(error.name);
    expect(server!.requests).toHaveLength(1);
  });

  test("that is not there is tried again as well", async () => {
    const { outcome } = await ask(() => {}, {}, { env: { OPENAI_BASE_URL: "http://127.0.0.1:1/v1" } });
    expect((await failure(outcome)).name).not.toBe("FatalError");
  });

  test("at no address is the operator's mistake", async () => {
    const { outcome } = await ask(() => {}, {}, { env: { OPENAI_BASE_URL: "localhost" } });
    expect(await failure(outcome)).toMatchObject({ name: "FatalError", code: "model_server" });
  });
});

describe("a stream that goes wrong fails the attempt", () => {
  test("when its connection is cut", async () => {
    const { ctx, outcome } = await ask((response) => {
      beginStream(response);
      sendChunk(response, { content: "Half of" });
      response.write("data: ", () => response.destroy());
    });
    const error = await failure(outcome);
    expect(error.name).not.toBe("FatalError");
    expect(ctx.emitted.join("")).toMatch(/^(Half of)?$/);
  });

  test("when it ends without saying that it is complete", async () => {
    const { outcome } = await ask((response) => {
      beginStream(response);
      sendChunk(response, { content: "Half of" });
      response.end();
    });
    expect((await failure(outcome)).message).toMatch(/finish reason|complete/);
  });

  test("when it holds an error", async () => {
    const { ctx, outcome } = await ask((response) => {
      beginStream(response);
      sendChunk(response, { content: "Half of" });
      sendChunk(response, { error: { message: `The model crashed with ${KEY}.`, type: "server_error" } });
      response.end("data: [DONE]\n\n");
    });
    expect((await failure(outcome)).message).toBe("The model crashed with [key].");
    expect(ctx.emitted).toEqual(["Half of"]);
  });

  test("when it is none", async () => {
    const { outcome } = await ask((response) => {
      beginStream(response);
      response.end("data: {not json\n\n");
    });
    expect((await failure(outcome)).name).not.toBe("FatalError");
  });
});

describe("an attempt that is told to stop", () => {
  test("lets go of the server and throws the signal's reason", async () => {
    const controller = new AbortController();
    const { ctx, outcome } = await ask(
      (response) => {
        beginStream(response);
        sendChunk(response, { content: "Begun" });
      },
      {},
      { signal: controller.signal },
    );
    const emit = ctx.emit;
    ctx.emit = (output) => {
      emit(output);
      controller.abort(new Error("the run was cancelled"));
    };
    expect((await failure(outcome)).message).toBe("the run was cancelled");
    expect(ctx.emitted).toEqual(["Begun"]);
    await server!.abandoned;
  });

  test("does so before it has begun, too", async () => {
    const signal = AbortSignal.abort(new Error("the worker stops"));
    const { outcome } = await ask((response) => streamAnswer(response, ["Hi"]), {}, { signal });
    expect((await failure(outcome)).message).toBe("the worker stops");
  });
});

describe("the embedded model", () => {
  const answer = async (input: InferenceInput) => {
    const ctx = stepContext(blobs);
    const output = await generate(input, ctx);
    expect(ctx.emitted.join("")).toBe(output.text);
    return { ...output, chunks: ctx.emitted.length };
  };

  test("answers a question from the text of its prompt, in chunks", async () => {
    const { text, model, usage, finishReason, chunks } = await answer({ prompt: `${TEXT}\n\nHow tall is the tower?` });
    expect(text).toBe("The tower is 330 metres tall, about the same height as a building of 81 storeys.");
    expect(model).toBe("millrace-extractive-1");
    expect(usage).toEqual({ inputTokens: 44, outputTokens: 16 });
    expect(finishReason).toBe("stop");
    expect(chunks).toBe(2);
  });

  test("finds the text in the system prompt", async () => {
    const { text } = await answer({ prompt: "Who built it?", system: `You answer questions. ${TEXT}` });
    expect(text).toContain("Gustave Eiffel");
  });

  test("sums up", async () => {
    const { text } = await answer({ prompt: `Summarize this: ${TEXT}` });
    expect(TEXT).toContain(text);
    expect(text).not.toBe(TEXT);
  });

  test.each(["What is the capital of France?", "Hello", "Write a poem about spring."])(
    "says so when there is no text to extract from: %s",
    async (prompt) => {
      const { text } = await answer({ prompt, system: "You are a helpful assistant." });
      expect(text).toMatch(/can only extract from text that you give it/);
    },
  );

  test("says so when the text does not speak of it", async () => {
    expect((await answer({ prompt: `Which animals live there? ${TEXT}` })).text).toMatch(/does not speak of that/);
  });

  test("stops at the number of words that it may say", async () => {
    const { text, finishReason, usage } = await answer({ prompt: `How tall is the tower? ${TEXT}`, max_tokens: 5 });
    expect(text.trim()).toBe("The tower is 330 metres");
    expect(finishReason).toBe("length");
    expect(usage.outputTokens).toBe(5);
  });

  test("is the only one without a server", async () => {
    const error = await failure(generate({ prompt: "Hi", model: "gpt-9" }, stepContext(blobs)));
    expect(error).toMatchObject({ name: "FatalError", code: "model_unavailable" });
    expect(error.message).toContain('"gpt-9"');
  });

  test("gets through the longest prompt that it may be given", async () => {
    const { text } = await answer({ prompt: `${TEXT} `.repeat(500).slice(0, 100_000) });
    expect(text.length).toBeGreaterThan(10);
  });
});

describe("the input of inference", () => {
  test.each([
    ["prompt", { prompt: "" }],
    ["prompt", { prompt: "x".repeat(100_001) }],
    ["max_tokens", { prompt: "x", max_tokens: 0 }],
    ["max_tokens", { prompt: "x", max_tokens: 128_001 }],
    ["max_tokens", { prompt: "x", max_tokens: 1.5 }],
    ["model", { prompt: "x", model: "" }],
    ["prompt", {}],
    ["prompt", { prompt: "x", messages: [{ role: "user", content: "x" }] }],
    ["system", { system: "x", messages: [{ role: "user", content: "x" }] }],
  ])("refuses a bad %s", async (field, input) => {
    const error = await failure(validate(inference.input, input, "input"));
    expect(error).toBeInstanceOf(InvalidInputError);
    expect((error as InvalidInputError).issues.map(({ path }) => path)).toEqual([[field]]);
  });
});
