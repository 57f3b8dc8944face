import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { connect } from "../../engine/index.ts";
import { deploymentKey, MODELS } from "../../workflows/inference/deployments.ts";
import { inference } from "../../workflows/inference/workflow.ts";
import { type EngineUnderTest, engineUnderTest } from "../support/engine-under-test.ts";
import { type ModelServer, modelServer, streamAnswer } from "../support/model-server.ts";
import { redisUrl } from "../support/redis.ts";

let server: ModelServer;
let engine: EngineUnderTest;
let answers: string[];
beforeEach(async () => {
  answers = ["one", "two", "three", "four"];
  server = await modelServer((response) => streamAnswer(response, [answers.shift()!]));
  engine = await engineUnderTest([inference]);
  const env = { OPENAI_BASE_URL: server.baseURL, OPENAI_MODEL: "big-model" };
  await engine.worker({ env });
});
afterEach(async () => {
  await engine[Symbol.asyncDispose]();
  await server.close();
});

const prompt = "Say a number.";
async function ask(input: object = {}) {
  const { output } = await engine.run(inference, { prompt, cache: true, ...input });
  const { text, cached = false } = output as { text: string; cached?: boolean };
  return cached ? `${text} again` : text;
}

describe("the answer to the same request", () => {
  test("is remembered where the request allows it, and emitted as any other", async () => {
    expect([await ask(), await ask()]).toEqual(["one", "one again"]);
    const { id } = await engine.millrace.runs.start(inference, { prompt, cache: true });
    const events = await engine.events(id);
    expect(events.flatMap(({ type, data }) => (type === "step.output" ? [data] : []))).toEqual([{ text: "one" }]);
    expect(server.requests).toHaveLength(1);
  });

  test("is not, where it does not say so", async () => {
    expect([await ask({ cache: false }), await ask({ cache: false }), await ask()]).toEqual(["one", "two", "three"]);
  });

  test("is none for another model, user or system prompt, or where more may be said", async () => {
    await ask();
    expect(await ask({ user_id: "ann" })).toBe("two");
    expect(await ask({ max_tokens: 5 })).toBe("three");
    expect(await ask({ model: "small-model" })).toBe("four");
    expect(await ask({ model: "big-model" })).toBe("one again");
  });

  test("is forgotten everywhere when the model is invalidated, and only then", async () => {
    const other = await connect({ url: redisUrl, namespace: engine.namespace, workflows: [] });
    const invalidate = async (model: string) => {
      const heard = Promise.withResolvers<unknown>();
      const stop = engine.millrace.onInvalidate(MODELS, heard.resolve);
      await other.invalidate(MODELS, model);
      expect(await heard.promise).toBe(model);
      stop();
    };
    await ask();
    await invalidate("small-model");
    expect(await ask()).toBe("one again");
    await invalidate("big-model");
    expect(await ask()).toBe("two");
    await other.close();
  });

  test("is of the version that is deployed", async () => {
    await ask();
    await engine.millrace.config.set(deploymentKey("big-model"), { version: "2" });
    expect(await ask()).toBe("two");
  });

  test("is asked for anew while the flag forbids it", async () => {
    await ask();
    await engine.millrace.config.set("inference.cache", false);
    expect(await ask()).toBe("two");
    await engine.millrace.config.delete("inference.cache");
    expect(await ask()).toBe("one again");
  });

  test("is remembered of the embedded model, too", async () => {
    const text = "The bridge was built in 1894. It stands to this day. When was the bridge built?";
    const input = { prompt: text, model: "millrace-extractive-1" };
    expect(await ask(input)).toBe("The bridge was built in 1894.");
    expect(await ask(input)).toBe("The bridge was built in 1894. again");
  });
});
