import { InvalidInputError } from "./errors.ts";
import { encodeInput } from "./payload.ts";
import { type Budget, givenBudget } from "./usage.ts";

const YEAR_MS = 31_536_000_000;

/** What the options of a start are held to. Times are in ms. */
export const START_LIMITS = {
  /** Of a delay, a time to live, a deadline and `maxWaitMs`. */
  longestMs: YEAR_MS,
  /** Of the window of a deduplication. */
  windowMs: 30 * 86_400_000,
  /** Of a deduplication's key, in characters. */
  key: 255,
  /** Of the metadata, in characters of JSON. */
  metadata: 8_192,
  tags: 8,
  tag: /^[A-Za-z0-9_.:/@=+-]{1,64}$/,
} as const;

/** Of a debounce without `maxWaitMs`: a stream of starts that never pauses puts its run off no longer than this. */
const DEFAULT_MAX_WAIT_WINDOWS = 10;

/**
 * Makes one run of several starts of a workflow with the same `key`.
 *
 * - `simple`: while the key's run is live, or within `windowMs` of its start, a start gives that run.
 * - `throttle`: within `windowMs` of a run's start, a start gives that run, ended or not.
 * - `debounce`: a start puts its run off by `windowMs`, but not past `maxWaitMs` after the first (default 10 windows), and
 *   gives it the last input. What comes after it has started makes a new run.
 */
export type Dedupe =
  | { key: string; mode: "simple"; windowMs?: number }
  | { key: string; mode: "throttle"; windowMs: number }
  | { key: string; mode: "debounce"; windowMs: number; maxWaitMs?: number };

/** When a run starts, how long it may take, and how it is found. */
export interface StartTerms {
  /** Its first step becomes due so much later, in ms. At most a year. */
  delayMs?: number;
  /** Its first step becomes due then; in the past: at once. At most a year from now. */
  runAt?: Date;
  /** A run that has not started so many ms after it could have fails with code `expired`. */
  ttlMs?: number;
  /** A run that has not ended so many ms after it could start fails with code `run_deadline`. Default: the workflow's. */
  deadlineMs?: number;
  /** A run that has used more, by what its handlers say, fails with code `budget_exceeded`. Default: the workflow's. */
  budget?: Budget;
  /** Up to 8, each 1 to 64 of `A-Z a-z 0-9 _ . : / @ = + -`: `runs.list({ tag })` finds the run by each. */
  tags?: readonly string[];
  dedupe?: Dedupe;
}

/** The terms of a start once they are checked. */
export interface CheckedTerms {
  /** When the run starts: so many ms from now, or at that time. Absent: at once. */
  start?: { inMs: number } | { atMs: number };
  ttlMs?: number;
  deadlineMs?: number;
  budget?: Budget;
  tags?: string[];
  dedupe?: Dedupe & { windowMs: number; maxWaitMs: number };
}

/** @throws InvalidInputError naming the option */
export function checkTerms(terms: StartTerms, defaults: Pick<StartTerms, "deadlineMs" | "budget"> = {}): CheckedTerms {
  const { delayMs, runAt, ttlMs, deadlineMs = defaults.deadlineMs, tags, dedupe } = terms;
  const checked: CheckedTerms = {};
  if (delayMs !== undefined && runAt !== undefined) throw invalid("runAt", "Give delayMs or runAt, not both");
  if (delayMs !== undefined) checked.start = { inMs: wholeMs("delayMs", delayMs, 0, START_LIMITS.longestMs) };
  if (runAt !== undefined) checked.start = { atMs: timeOf(runAt) };
  if (ttlMs !== undefined) checked.ttlMs = wholeMs("ttlMs", ttlMs, 1, START_LIMITS.longestMs);
  if (deadlineMs !== undefined) checked.deadlineMs = wholeMs("deadlineMs", deadlineMs, 1, START_LIMITS.longestMs);
  const budget = givenBudget(terms.budget) ?? defaults.budget;
  if (budget !== undefined) checked.budget = budget;
  const kept = tags === undefined ? [] : checkTags(tags);
  if (kept.length > 0) checked.tags = kept;
  if (dedupe === undefined) return checked;
  checked.dedupe = checkDedupe(dedupe);
  if (dedupe.mode !== "debounce") return checked;
  if (checked.start !== undefined) throw invalid("dedupe", "A debounce says itself when the run starts");
  checked.start = { inMs: checked.dedupe.windowMs };
  return checked;
}

/** What is kept with a run, as JSON: an object, since a schedule and a rerun add to it. @throws InvalidInputError */
export function checkMetadata(metadata: unknown, limit: number = START_LIMITS.metadata): string | undefined {
  if (metadata === undefined) return undefined;
  if (!isObject(metadata)) throw invalid("metadata", "Expected an object");
  const json = encodeInput(metadata, "metadata");
  if (json.length > limit) throw invalid("metadata", `At most ${limit} characters of JSON`);
  return json;
}

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Whether a run may start as late as its checked terms say. @throws InvalidInputError */
export function checkRunAt(atMs: number, nowMs: number): void {
  if (atMs > nowMs + START_LIMITS.longestMs) throw invalid("runAt", "At most a year from now");
}

function wholeMs(path: string, value: unknown, least: number, most: number): number {
  if (Number.isInteger(value) && (value as number) >= least && (value as number) <= most) return value as number;
  throw invalid(path, `Expected a whole number of milliseconds from ${least} to ${most}`);
}

function timeOf(runAt: unknown): number {
  const ms = runAt instanceof Date ? runAt.getTime() : Number.NaN;
  if (Number.isNaN(ms)) throw invalid("runAt", "Expected a valid Date");
  return Math.max(ms, 0);
}

function checkTags(tags: unknown): string[] {
  if (!Array.isArray(tags)) throw invalid("tags", "Expected a list of texts");
  const kept = [...new Set<unknown>(tags)];
  if (kept.length > START_LIMITS.tags) throw invalid("tags", `At most ${START_LIMITS.tags} tags`);
  for (const tag of kept)
    if (typeof tag !== "string" || !START_LIMITS.tag.test(tag))
      throw invalid("tags", "A tag is 1 to 64 of A-Z a-z 0-9 _ . : / @ = + -");
  return kept as string[];
}

function checkDedupe(dedupe: Dedupe): NonNullable<CheckedTerms["dedupe"]> {
  if (!isObject(dedupe)) throw invalid("dedupe", "Expected an object with a key and a mode");
  const { key, mode } = dedupe;
  if (typeof key !== "string" || key.length < 1 || key.length > START_LIMITS.key)
    throw invalid("dedupe.key", `Expected 1 to ${START_LIMITS.key} characters`);
  if (!["simple", "throttle", "debounce"].includes(mode))
    throw invalid("dedupe.mode", "Expected simple, throttle or debounce");
  const given = mode === "simple" ? (dedupe.windowMs ?? 0) : dedupe.windowMs;
  const windowMs = wholeMs("dedupe.windowMs", given, mode === "simple" ? 0 : 1, START_LIMITS.windowMs);
  const longest = Math.min(DEFAULT_MAX_WAIT_WINDOWS * windowMs, START_LIMITS.longestMs);
  const asked = mode === "debounce" ? (dedupe.maxWaitMs ?? longest) : 0;
  const maxWaitMs = mode === "debounce" ? wholeMs("dedupe.maxWaitMs", asked, windowMs, START_LIMITS.longestMs) : 0;
  return { ...dedupe, windowMs, maxWaitMs };
}

function invalid(path: string, message: string): InvalidInputError {
  return new InvalidInputError(`${path}: ${message}.`, [{ path: path.split("."), message }]);
}
