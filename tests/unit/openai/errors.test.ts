import { Hono } from "hono";
import { describe, expect, test } from "vitest";
import { OverloadedError, type RunView, UnavailableError, UnconfirmedError } from "../../../engine/index.ts";
import {
  isOpenAiPath,
  notEnded,
  openAiErrorOf,
  openAiErrorResponse,
  runFailure,
} from "../../../gateway/openai/errors.ts";
import { ProblemError, problemOf } from "../../../gateway/problem.ts";

describe("an error on OpenAI's paths", () => {
  test("names the field as OpenAI does", () => {
    const errors = [{ path: ["messages", "0", "content"], message: "A text is wanted." }];
    expect(openAiErrorOf(new ProblemError(422, "invalid_input", "The body does not fit.", { errors }))).toEqual({
      message: "messages[0].content: A text is wanted.",
      type: "invalid_request_error",
      param: "messages[0].content",
      code: "invalid_input",
    });
  });

  test.each([
    [400, "invalid_request_error"],
    [401, "authentication_error"],
    [403, "permission_error"],
    [404, "invalid_request_error"],
    [429, "rate_limit_error"],
    [500, "server_error"],
    [503, "server_error"],
  ] as const)("of status %i has its type", (status, type) => {
    expect(openAiErrorOf(new ProblemError(status, undefined, "So."))).toEqual({
      ...{ message: "So.", type, param: null, code: null },
    });
  });

  test.each([
    ["/v1/chat/completions", true],
    ["/v1/embeddings", true],
    ["/v1/models", true],
    ["/v1/models/a%2Fb", true],
    ["/v1/models/a/deployments", false],
    ["/v1/runs/models", false],
  ])("is one on %s: %s", (path, is) => {
    expect(isOpenAiPath(path)).toBe(is);
  });
});

describe("a run that did not complete is answered", () => {
  const run = (error?: RunView["error"], status: RunView["status"] = "failed"): RunView => ({
    ...{ id: "r-0", workflow: "inference", version: 1, status, input: {}, seq: 9, steps: {}, createdAt: "" },
    ...(error === undefined ? {} : { error }),
  });

  test.each([
    ["model_request", "FatalError", 400],
    ["model_unavailable", "FatalError", 404],
    ["model_unavailable", "RetryAfterError", 503],
    ["model_busy", "RetryAfterError", 429],
    ["model_unauthorized", "FatalError", 502],
    ["budget_exceeded", "Error", 500],
    [undefined, "Error", 500],
  ])("with %s (%s) by %i, and is not to be tried again", (code, name, status) => {
    const problem = runFailure(run({ name, message: "Why.", ...(code === undefined ? {} : { code }) }));
    expect(problem).toMatchObject({ status, message: "Why." });
    expect(problem.headers).toEqual({ "Millrace-Run": "r-0", "x-should-retry": "false" });
  });

  test("as a conflict, if it was cancelled", () => {
    expect(runFailure(run(undefined, "cancelled"))).toMatchObject({ status: 409, code: "run_cancelled" });
  });

  test("as late, and is only asked for again by a client that has a key", () => {
    expect(notEnded("r-0", true, 5).headers).toEqual({ "Millrace-Run": "r-0", "Retry-After": "1" });
    expect(notEnded("r-0", false, 5).headers).toEqual({ "Millrace-Run": "r-0", "x-should-retry": "false" });
  });
});

describe("a start of which nobody knows whether it is stored", () => {
  const asked = (error: Error, headers: Record<string, string> = {}) =>
    new Hono().get("/", (c) => openAiErrorResponse(c, problemOf(error))).request("/", { headers });
  const retry = (response: Response) => response.headers.get("x-should-retry");

  test("is not to be tried again without a key", async () => {
    const away = new UnavailableError("Redis is away.");
    expect(retry(await asked(away))).toBe("false");
    expect(retry(await asked(away, { "Idempotency-Key": "k" }))).toBeNull();
    expect(retry(await asked(new OverloadedError("Full.", 1_000)))).toBeNull();
  });

  test("is named where it is", async () => {
    const response = await asked(new UnconfirmedError("r-0", "Not on disk."));
    expect([response.status, response.headers.get("millrace-run"), retry(response)]).toEqual([503, "r-0", "false"]);
    expect(await response.json()).toMatchObject({ error: { type: "server_error", code: "unconfirmed" } });
  });
});
