import type { Context } from "hono";
import type * as v from "valibot";
import { type RunView, UnavailableError, UnconfirmedError } from "../../engine/index.ts";
import { ProblemError } from "../problem.ts";
import type { openAiError } from "../views/openai.ts";

/** Names the run that a reply is about. */
export const RUN_HEADER = "Millrace-Run";

export type OpenAiError = v.InferOutput<typeof openAiError>["error"];

const PATHS = /^\/v1\/(?:chat\/completions|embeddings|models(?:\/[^/]+)?)\/?$/;

/** Whether a path is one of those that speak OpenAI's protocol, errors included. */
export function isOpenAiPath(path: string): boolean {
  return PATHS.test(path);
}

export function openAiErrorOf({ status, code, message, errors = [] }: ProblemError): OpenAiError {
  const [first] = errors;
  const param = first === undefined || first.path.length === 0 ? null : paramOf(first.path);
  const told = first === undefined ? message : param === null ? first.message : `${param}: ${first.message}`;
  return { message: told, type: typeOf(status), param, code: code ?? null };
}

/**
 * The reply to a request on one of these paths that went wrong. A body that does not fit is a 400. Clients try again by
 * themselves what is a 5xx: they are told not to, where that would start, and bill, a second run.
 */
export function openAiErrorResponse(c: Context, problem: ProblemError): Response {
  const status = problem.status === 422 && problem.errors !== undefined ? 400 : problem.status;
  const { cause } = problem;
  const run: Record<string, string> = cause instanceof UnconfirmedError ? { [RUN_HEADER]: cause.run } : {};
  const mayBeThere = cause instanceof UnavailableError && cause.code !== "overloaded";
  const once: Record<string, string> = mayBeThere && c.req.header("idempotency-key") === undefined ? NO_RETRY : {};
  return c.json({ error: openAiErrorOf(problem) }, status, {
    "Cache-Control": "no-store",
    ...run,
    ...once,
    ...problem.headers,
  });
}

const NO_RETRY = { "x-should-retry": "false" };

/** What a run that did not complete is answered with: asking again with its key gives the same. */
export function runFailure({ id, status, error }: RunView): ProblemError {
  const headers = { [RUN_HEADER]: id, ...NO_RETRY };
  if (status === "cancelled") return new ProblemError(409, "run_cancelled", `Run ${id} was cancelled.`, { headers });
  const { message = "The run failed.", code = "run_failed", name } = error ?? {};
  // A server that is down has the same code as one that has no such model, and was asked again and again.
  const isDown = code === "model_unavailable" && name === "RetryAfterError";
  return new ProblemError(isDown ? 503 : (STATUSES[code] ?? 500), code, message, { headers });
}

/** The run goes on, and nobody waits any longer. */
export function notEnded(run: string, hasKey: boolean, ms: number): ProblemError {
  const how = hasKey
    ? "Ask again with the same Idempotency-Key: it goes on, and is not started anew."
    : `Its result will be at /v1/runs/${run}. With an Idempotency-Key you could ask again.`;
  const headers = { [RUN_HEADER]: run, ...(hasKey ? { "Retry-After": "1" } : NO_RETRY) };
  return new ProblemError(504, "not_ended", `Run ${run} has not ended after ${ms} ms. ${how}`, { headers });
}

/** By the code of a run's error; what is not here is a 500. */
const STATUSES: Readonly<Record<string, 400 | 404 | 429 | 502>> = {
  model_request: 400,
  not_supported: 400,
  context_length_exceeded: 400,
  model_unavailable: 404,
  model_busy: 429,
  model_unauthorized: 502,
  model_forbidden: 502,
  model_server: 502,
};

function paramOf([first = "", ...more]: readonly string[]): string {
  return more.reduce((param, key) => (/^\d+$/.test(key) ? `${param}[${key}]` : `${param}.${key}`), first);
}

function typeOf(status: number): string {
  if (status === 401) return "authentication_error";
  if (status === 403) return "permission_error";
  if (status === 429) return "rate_limit_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}
