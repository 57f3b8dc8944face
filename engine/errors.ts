/**
 * The engine's errors. Each class is a decision, each `code` names the case; `cause` holds what was caught.
 *
 * A handler that throws a `FatalError` is not tried again; a `RetryAfterError` is tried again after the time it names;
 * anything else is tried again by the step's retry policy.
 */
export class MillraceError extends Error {
  override readonly name: string = "MillraceError";
  readonly code: string;

  constructor(code: string, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** Thrown by a handler: trying again cannot help. The step goes to its dead letters at once. */
export class FatalError extends MillraceError {
  override readonly name = "FatalError";

  constructor(message: string, options?: { code?: string; cause?: unknown }) {
    super(options?.code ?? "fatal", message, options);
  }
}

/** Thrown by a handler: try again, but not before `retryAfterMs` have passed. Counts as an attempt. */
export class RetryAfterError extends MillraceError {
  override readonly name = "RetryAfterError";
  readonly retryAfterMs: number;

  constructor(message: string, retryAfterMs: number, options?: { code?: string; cause?: unknown }) {
    super(options?.code ?? "retry_after", message, options);
    this.retryAfterMs = retryAfterMs;
  }
}

/** A definition that cannot work: thrown where it is written, naming the workflow and the step. */
export class DefinitionError extends MillraceError {
  override readonly name = "DefinitionError";

  constructor(message: string) {
    super("definition", message);
  }
}

/** One place where a value does not fit its schema. `path` is the keys from the root. */
export interface Issue {
  path: string[];
  message: string;
}

/** An input that does not fit its schema. Nothing was stored. */
export class InvalidInputError extends MillraceError {
  override readonly name = "InvalidInputError";
  readonly issues: Issue[];

  constructor(message: string, issues: Issue[]) {
    super("invalid_input", message);
    this.issues = issues;
  }
}

/** What was asked for does not exist, or not for this tenant. */
export class NotFoundError extends MillraceError {
  override readonly name = "NotFoundError";

  constructor(what: string, id: string) {
    super("not_found", `There is no ${what} ${JSON.stringify(id)}.`);
  }
}

/** What was asked for does not go with the state that the run (or document, or dead letter) is in. */
export class ConflictError extends MillraceError {
  override readonly name = "ConflictError";
}

/** What a watcher was told waited for too long to be taken: it goes on after `cursor`. */
export class SlowWatcherError extends MillraceError {
  override readonly name = "SlowWatcherError";
  readonly cursor: string;

  constructor(cursor: string) {
    super("slow_watcher", "More has come than a watcher may leave waiting: go on after the cursor.");
    this.cursor = cursor;
  }
}

/** Redis could not be reached or did not answer in time; the write may have happened. Every call may be made again. */
export class UnavailableError extends MillraceError {
  override readonly name: string = "UnavailableError";

  constructor(message: string, options?: { cause?: unknown; code?: string }) {
    super(options?.code ?? "unavailable", message, options);
  }
}

/** Nothing new is taken, so that what was taken comes to its end. Nothing was stored. */
export class OverloadedError extends UnavailableError {
  override readonly name = "OverloadedError";
  readonly retryAfterMs: number;

  constructor(message: string, retryAfterMs: number, options?: { cause?: unknown }) {
    super(message, { ...options, code: "overloaded" });
    this.retryAfterMs = retryAfterMs;
  }
}

/**
 * The run is stored, but not at the durability that was asked for: it goes on, and may be lost in a failover or a crash. Asking
 * again with the same idempotency key makes no second run and confirms the first.
 */
export class UnconfirmedError extends UnavailableError {
  override readonly name = "UnconfirmedError";
  /** The id of the run. */
  readonly run: string;

  constructor(run: string, message: string, options?: { cause?: unknown }) {
    super(message, { ...options, code: "unconfirmed" });
    this.run = run;
  }
}

/** An error as runs, events and dead letters carry it. */
export interface ErrorRecord {
  name: string;
  message: string;
  code?: string;
  /** The innermost frames of the stack, for the one who reads a dead letter. */
  stack?: string;
  cause?: ErrorRecord;
}

const MESSAGE_LIMIT = 2_000;
const STACK_LIMIT = 2_000;
const NAME_LIMIT = 100;
const CAUSE_DEPTH = 4;

/** Anything that was thrown, as a bounded plain record. Never throws, whatever stands in the properties of an error. */
export function errorRecord(thrown: unknown, depth = 0): ErrorRecord {
  try {
    return recordOf(thrown, depth);
  } catch {
    return { name: "Error", message: "Something was thrown that cannot be read." };
  }
}

function recordOf(thrown: unknown, depth: number): ErrorRecord {
  if (!(thrown instanceof Error)) return { name: "Error", message: clip(describe(thrown), MESSAGE_LIMIT) };
  const name = clip(text(thrown.name) || "Error", NAME_LIMIT);
  const record: ErrorRecord = { name, message: clip(text(thrown.message) || name, MESSAGE_LIMIT) };
  const code = (thrown as { code?: unknown }).code;
  if (typeof code === "string") record.code = clip(code, NAME_LIMIT);
  if (depth === 0 && thrown.stack !== undefined) record.stack = clip(text(thrown.stack), STACK_LIMIT);
  if (thrown.cause !== undefined && depth < CAUSE_DEPTH) record.cause = errorRecord(thrown.cause, depth + 1);
  return record;
}

/** Libraries put numbers and objects where an error's text belongs. */
function text(value: unknown): string {
  return typeof value === "string" ? value : value == null ? "" : describe(value);
}

function describe(thrown: unknown): string {
  if (typeof thrown === "string") return thrown;
  try {
    return JSON.stringify(thrown) ?? String(thrown);
  } catch {
    return Object.prototype.toString.call(thrown);
  }
}

function clip(text: string, limit: number): string {
  return text.length <= limit ? text : `${text.slice(0, limit - 1)}…`;
}
