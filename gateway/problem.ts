import type { Context } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import {
  ConflictError,
  InvalidInputError,
  type Issue,
  MillraceError,
  NotFoundError,
  OverloadedError,
  UnavailableError,
  UnconfirmedError,
} from "../engine/index.ts";

/** An error as clients get it: `application/problem+json` (RFC 9457). */
export interface Problem {
  /** `about:blank` where the status says it all, else `urn:millrace:problem:CODE`. */
  type: string;
  title: string;
  status: number;
  detail: string;
  /** Where a value does not fit: `path` is the keys from the root of what `detail` names. */
  errors?: Issue[];
  /** On a socket of many runs: what it is about. */
  run?: string;
  workflow?: string;
  all?: true;
  /** On a socket: the signal that it is about, and the id that its client gave the message. */
  name?: string;
  id?: string;
  /** On a socket, in seconds: what the header `Retry-After` says of a reply. */
  retryAfter?: number;
}

const TITLES: Record<number, string> = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  409: "Conflict",
  410: "Gone",
  412: "Precondition Failed",
  413: "Content Too Large",
  415: "Unsupported Media Type",
  416: "Range Not Satisfiable",
  422: "Unprocessable Content",
  423: "Locked",
  426: "Upgrade Required",
  429: "Too Many Requests",
  460: "Checksum Mismatch",
  500: "Internal Server Error",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
};

/** Conflicts that have a status of their own, and after how many seconds it is worth another try; 460 is the tus protocol's. */
const CONFLICTS: Record<string, [status: number, retryAfter?: string]> = {
  idempotency_mismatch: [422],
  upload_gone: [410],
  config_changed: [412],
  upload_busy: [423, "1"],
  too_many_uploads: [429, "60"],
  too_many_parts: [413],
  checksum_mismatch: [460],
};

const TOLD = 500;

/** Thrown anywhere below a route to answer with a problem. `code` is the last part of its type. */
export class ProblemError extends Error {
  override readonly name = "ProblemError";
  readonly status: ContentfulStatusCode;
  readonly code: string | undefined;
  readonly errors: Issue[] | undefined;
  readonly headers: Record<string, string>;

  constructor(
    status: ContentfulStatusCode,
    code: string | undefined,
    detail: string,
    more: { errors?: Issue[] | undefined; headers?: Record<string, string>; cause?: unknown } = {},
  ) {
    super(detail, { cause: more.cause });
    this.status = status;
    this.code = code;
    this.errors = more.errors;
    this.headers = more.headers ?? {};
  }

  toProblem(): Problem {
    return {
      type: this.code === undefined ? "about:blank" : `urn:millrace:problem:${this.code.replaceAll("_", "-")}`,
      title: TITLES[this.status] ?? "Error",
      status: this.status,
      detail: this.message,
      ...(this.errors === undefined ? {} : { errors: this.errors }),
    };
  }
}

/** What is answered to anything that was thrown. What nobody foresaw is a 500 that tells nothing of the inside. */
export function problemOf(thrown: unknown): ProblemError {
  if (thrown instanceof ProblemError) return thrown;
  if (thrown instanceof NotFoundError) return new ProblemError(404, thrown.code, thrown.message);
  if (thrown instanceof InvalidInputError)
    return new ProblemError(422, thrown.code, thrown.message, { errors: thrown.issues.map(told) });
  if (thrown instanceof ConflictError) {
    const [status, retryAfter] = CONFLICTS[thrown.code] ?? [409];
    const headers: Record<string, string> = retryAfter === undefined ? {} : { "Retry-After": retryAfter };
    return new ProblemError(status as ContentfulStatusCode, thrown.code, thrown.message, { headers });
  }
  if (thrown instanceof OverloadedError)
    return new ProblemError(429, thrown.code, thrown.message, {
      headers: { "Retry-After": String(Math.ceil(thrown.retryAfterMs / 1_000)) },
      cause: thrown,
    });
  if (thrown instanceof UnconfirmedError)
    return new ProblemError(503, thrown.code, `${thrown.message} Ask again with the same Idempotency-Key.`, {
      headers: { "Retry-After": "1" },
      cause: thrown,
    });
  if (thrown instanceof UnavailableError)
    return new ProblemError(503, thrown.code, "The store cannot be reached at the moment. Try again.", {
      headers: { "Retry-After": "1" },
      cause: thrown,
    });
  if (thrown instanceof MillraceError && thrown.code === "blob_too_large")
    return new ProblemError(413, thrown.code, `The document is too large. ${thrown.message}`);
  if (thrown instanceof MillraceError && thrown.code === "upload_size")
    return new ProblemError(422, thrown.code, thrown.message);
  return new ProblemError(500, undefined, "Something went wrong here. The request's id is in the log.", {
    cause: thrown,
  });
}

/** What does not fit, and where, each shortened: both may hold as much of what was sent as was sent. */
export function told({ path, message }: Issue): Issue {
  return { path: path.slice(0, 70).map((key) => key.slice(0, TOLD)), message: message.slice(0, TOLD) };
}

/** A problem as the reply to a request. */
export function problemResponse(c: Context, error: ProblemError): Response {
  return c.body(JSON.stringify(error.toProblem()), error.status, {
    "Content-Type": "application/problem+json",
    "Cache-Control": "no-store",
    ...error.headers,
  });
}

/** The same where there is no app to answer by. */
export function bareResponse(error: ProblemError): Response {
  const headers = { "Content-Type": "application/problem+json", "Cache-Control": "no-store", ...error.headers };
  return Response.json(error.toProblem(), { status: error.status, headers });
}
