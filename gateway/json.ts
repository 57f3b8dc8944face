import type { Context } from "hono";
import * as v from "valibot";
import type { Issue } from "../engine/index.ts";
import { gather, readBody } from "./body.ts";
import type { Env } from "./context.ts";
import type { Limits } from "./limits.ts";
import { ProblemError, told } from "./problem.ts";

const MAX_DEPTH = 64;
/** Keys, and objects and lists, of a text: a list of 100,000 small objects is the most that a workflow takes. */
const MAX_PARTS = 200_000;
/** Of a body that is larger than this, the first place that does not fit is told alone: there may be as many as bytes. */
const TELL_ALL_BYTES = 65_536;

/**
 * The JSON body of a request, checked against a schema, and its bytes as they were sent.
 *
 * @param optional whether there may be none, without a Content-Type: the value is undefined then
 * @throws ProblemError 415 for another Content-Type, 413, 400 if it is not JSON, 422 if it does not fit
 */
export async function readJson<S extends v.GenericSchema>(
  c: Context<Env>,
  schema: S,
  limits: Limits,
  optional = false,
): Promise<{ value: v.InferOutput<S>; bytes: Uint8Array<ArrayBuffer> }> {
  if (!optional) checkType(c);
  const bytes = await readBytes(c, limits);
  const isNone = bytes.byteLength === 0 && c.req.header("content-type") === undefined;
  if (optional && isNone) return { value: undefined as v.InferOutput<S>, bytes };
  checkType(c);
  const sent = parseJson(decodeText(bytes), "body");
  const abortEarly = bytes.byteLength > TELL_ALL_BYTES;
  const object = schema.type === "unknown" ? sent : check(plainObject, sent, "body");
  return { value: check(schema, object, "body", abortEarly), bytes };
}

function checkType(c: Context<Env>): void {
  const type = c.req.header("content-type") ?? "";
  if (!/^application\/(?:[a-z0-9.+-]+\+)?json\s*(?:;\s*charset="?utf-8"?\s*)?$/i.test(type))
    throw new ProblemError(415, "content_type", "Send JSON, with Content-Type: application/json.");
}

function readBytes(c: Context<Env>, limits: Limits): Promise<Uint8Array<ArrayBuffer>> {
  return gather(readBody(c.req.raw, { maxBytes: limits.jsonBytes, idleMs: limits.bodyIdleMs }));
}

/** What valibot takes for an object may still be a list. */
export const plainObject = v.custom<Record<string, unknown>>(
  (value) => typeof value === "object" && value !== null && !Array.isArray(value),
  "An object is wanted.",
);

/**
 * @param abortEarly whether to look no further than the first place that does not fit
 * @throws ProblemError 422 with one error per place that does not fit
 */
export function check<S extends v.GenericSchema>(
  schema: S,
  value: unknown,
  what: string,
  abortEarly = false,
): v.InferOutput<S> {
  const result = v.safeParse(schema, value, { abortEarly });
  if (result.success) return result.output;
  const errors = result.issues.slice(0, 50).map((issue) => told(telling(issue)));
  throw new ProblemError(422, "invalid_input", `The ${what} does not fit its schema.`, { errors });
}

/**
 * The query of a request, checked against a schema: what is given more than once is a list.
 *
 * @param except a parameter that is none of the schema's
 * @throws ProblemError 422 with one error per parameter that does not fit
 */
export function readQuery<S extends v.GenericSchema>(c: Context<Env>, schema: S, except?: string): v.InferOutput<S> {
  const given = Object.entries(c.req.queries()).filter(([name]) => name !== except);
  const query = Object.fromEntries(given.map(([name, values]) => [name, values.length === 1 ? values[0] : values]));
  const result = v.safeParse(schema, query);
  if (result.success) return result.output;
  const isList = (name: unknown) => Array.isArray(query[String(name)]);
  const repeated = result.issues.map((issue) => issue.path?.[0]?.key).filter(isList);
  if (repeated.length === 0) return check(schema, query, "query");
  const errors = repeated
    .slice(0, 50)
    .map((name) => ({ path: [String(name)], message: "This is given more than once." }));
  throw new ProblemError(422, "invalid_input", "The query does not fit its schema.", { errors });
}

/** Where a value does not fit. Of what fits none of several schemas, what is wrong deepest inside: that one it fits best. */
function telling(issue: v.BaseIssue<unknown>): Issue {
  const path = (issue.path ?? []).map((part) => String(part.key));
  const tried = issue.type === "union" ? (issue.issues ?? []).map(telling) : [];
  const best = tried.reduce<Issue>((best, each) => (each.path.length > best.path.length ? each : best), {
    path: [],
    message: messageOf(issue),
  });
  return { path: [...path, ...best.path], message: best.message };
}

/** valibot says of a field that is missing, or one too many, that it expected a "never". */
function messageOf(issue: v.BaseIssue<unknown>): string {
  if (issue.type !== "strict_object" || issue.path === undefined) return issue.message;
  return issue.expected === "never" ? "There is no such field." : "Required.";
}

/**
 * JSON from outside. Beside what JSON.parse refuses: more than 64 levels, 200,000 keys or as many objects and lists, a key twice in one object, and `__proto__`.
 *
 * @throws ProblemError 400
 */
export function parseJson(text: string, what: string): unknown {
  try {
    scan(text, what);
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) throw malformed(`The ${what} is not JSON: ${error.message.slice(0, 200)}`);
    throw error;
  }
}

/** Reads the text once, keeping the keys of every object that is open. Leaves syntax to JSON.parse. */
function scan(text: string, what: string): void {
  // Of an object nothing is kept before it has a key: most of what a bomb holds has none.
  const open: (Set<string> | "object" | "list")[] = [];
  let containers = 0;
  let count = 0;
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (char === "{" || char === "[") {
      if (open.push(char === "{" ? "object" : "list") > MAX_DEPTH)
        throw malformed(`The ${what} is nested more than ${MAX_DEPTH} levels deep.`);
      containers += 1;
      if (containers > MAX_PARTS) throw malformed(`The ${what} has more than ${MAX_PARTS} objects and lists.`);
    } else if (char === "}" || char === "]") open.pop();
    else if (char === '"') {
      const start = i;
      i = endOfString(text, i);
      const last = open[open.length - 1];
      if (last === undefined || last === "list" || !isKey(text, i)) continue;
      const keys = last === "object" ? new Set<string>() : last;
      open[open.length - 1] = keys;
      addKey(keys, text.slice(start, i + 1));
      count += 1;
      if (count > MAX_PARTS) throw malformed(`The ${what} has more than ${MAX_PARTS} keys.`);
    }
  }
}

function addKey(keys: Set<string>, quoted: string): void {
  const key = String(JSON.parse(quoted));
  if (key === "__proto__") throw malformed('The key "__proto__" is not accepted.');
  if (keys.has(key)) throw malformed(`The key ${quoted.slice(0, 100)} stands twice in one object.`);
  keys.add(key);
}

function endOfString(text: string, start: number): number {
  let i = start + 1;
  while (i < text.length && text[i] !== '"') i += text[i] === "\\" ? 2 : 1;
  return i;
}

function isKey(text: string, quote: number): boolean {
  let i = quote + 1;
  while (text[i] === " " || text[i] === "\n" || text[i] === "\r" || text[i] === "\t") i++;
  return text[i] === ":";
}

/** @throws ProblemError 400 for what is not UTF-8 */
export function decodeText(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new ProblemError(400, "malformed_json", "The body is not UTF-8.", { cause });
  }
}

function malformed(detail: string): ProblemError {
  return new ProblemError(400, "malformed_json", detail);
}
