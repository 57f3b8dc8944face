import { APICallError } from "ai";
import { FatalError, RetryAfterError } from "../../engine/index.ts";
import type { ModelServer } from "./server.ts";

/** Nobody waits longer for a server that asks for patience. */
const LONGEST_WAIT_MS = 60 * 60_000;
/** With these, the same request would be refused again. */
const REFUSALS: Readonly<Record<number, string>> = {
  400: "model_request",
  401: "model_unauthorized",
  403: "model_forbidden",
  404: "model_unavailable",
  422: "model_request",
};

/** What a model server's error means to the engine: give up, come back later, or (as it is) try again by the step's own policy. */
export function decided(error: unknown, server: ModelServer): Error {
  const said = withoutSecrets(messageOf(error), server);
  if (APICallError.isInstance(error)) {
    const status = error.statusCode ?? 0;
    const message = `The model server answered ${status}: ${said}`;
    const code = REFUSALS[status];
    if (code !== undefined) return new FatalError(message, { code });
    const waitMs = retryAfterMs(error.responseHeaders ?? {});
    if ((status === 429 || status === 503) && waitMs !== undefined)
      return new RetryAfterError(message, waitMs, { code: status === 429 ? "model_busy" : "model_unavailable" });
  }
  return error instanceof Error && error.message === said ? error : new Error(said);
}

/** `Retry-After` is a number of seconds or a date (RFC 9110, 10.2.3). */
function retryAfterMs(headers: Record<string, string>): number | undefined {
  const value = headers["retry-after"]?.trim();
  if (value === undefined || value === "") return undefined;
  const ms = /^\d+(?:\.\d+)?$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.min(LONGEST_WAIT_MS, Math.max(0, Math.ceil(ms)));
}

/** Errors inside a stream are what the server makes of them: a text, or an object with one. */
function messageOf(error: unknown): string {
  if (error instanceof Error) return error.message;
  if (typeof error === "string") return error;
  const { message } = (typeof error === "object" && error !== null ? error : {}) as { message?: unknown };
  return typeof message === "string" ? message : `The model server reported an error: ${JSON.stringify(error)}`;
}

/** Servers repeat the key that they refuse. */
function withoutSecrets(message: string, { apiKey }: ModelServer): string {
  const hidden = apiKey === undefined ? message : message.replaceAll(apiKey, "[key]");
  return hidden.replaceAll(/\b(?:sk|pk|key)-[A-Za-z0-9_*-]{6,}/g, "[key]").slice(0, 1_000);
}
