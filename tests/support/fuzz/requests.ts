import fc from "fast-check";
import type { Random } from "../faults/random.ts";
import { fitting, type Schema } from "../schema-arbitrary.ts";
import { changed, ODD_TEXTS, oddValue } from "./odd.ts";

export interface FuzzRequest {
  method: string;
  /** As it goes over the wire. */
  path: string;
  headers: Record<string, string>;
  body: Buffer | undefined;
}

interface Described {
  operationId: string;
  parameters?: { name: string; in: string; schema?: Schema }[];
  requestBody?: { content: Record<string, { schema: Schema }> };
}

interface Operation {
  method: string;
  path: string;
  id: string;
  query: string[];
  headers: string[];
  isJson: boolean;
  /** Bodies that fit, if it takes JSON. */
  bodies: readonly unknown[];
}

/** What would hold the workflows up that answers are waited for, or make endless work. */
const LEFT_OUT = /^(pauseTenant|pauseWorkflow|pauseStep)$/;
const BODIES = 25;
/** So many ids are known at once, and names that stay so. */
const MOST_KNOWN = 200;
const NAMES = 9;
const GOOD: Record<string, object> = {
  startRun: { input: { name: "Ada" } },
  putSchedule: { workflow: "greet", input: { name: "Ada" }, cron: "@yearly" },
  createChatCompletion: { model: "millrace-extractive-1", messages: [{ role: "user", content: "It is. Is it?" }] },
  createEmbeddings: { model: "millrace-hashing-1", input: ["a"] },
  startInference: { prompt: "It is late. Is it late?" },
};
const HEADERS: Record<string, readonly string[]> = {
  Accept: ["application/json", "text/event-stream", "*/*;q=0", "x".repeat(900), ","],
  "Content-Type": [
    ...["text/plain", "application/json", "application/json; charset=utf-8", "application/json;charset=utf-16", "json"],
    ...[
      "multipart/form-data",
      "multipart/form-data; boundary=",
      'multipart/form-data; boundary="a',
      "application/problem+json",
    ],
    ...[
      "application/offset+octet-stream",
      "application/x-www-form-urlencoded",
      `a/${"b".repeat(900)}`,
      "/",
      ";",
      "__proto__",
    ],
  ],
  "Content-Encoding": ["gzip", "identity", "br, br", "chunked"],
  "Idempotency-Key": ["one", "two", "three", "x".repeat(255), "x".repeat(256), " ", "__proto__", "\u00e9"],
  Prefer: ["wait=0", "wait=1", "wait=-1", "wait=1e9", "wait", "respond-async, wait=0.5", "=", "wait=1,wait=0"],
  Range: [
    "bytes=0-0",
    "bytes=-1",
    "bytes=9-1",
    "bytes=0-99999999999999999999",
    "bytes=a-b",
    "bytes=0-1,2-3",
    "lines=1",
    "=",
  ],
  "If-None-Match": ["*", '"a"', 'W/"a", "b"', ",,,", "x".repeat(2_000)],
  "If-Match": ["*", '"1"', "1", "x"],
  "If-Range": ['"a"', "Wed, 21 Oct 2026 07:28:00 GMT"],
  "Last-Event-ID": ["0", "1-0", ",", "-1", "x".repeat(3_000), "99999999999999999999", "W10"],
  Origin: ["null", "http://localhost:3000", "https://evil.example", "http://[", "file://"],
  Traceparent: ["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "00-0-0-0", "ff", "x".repeat(2_000)],
  Tracestate: ["a=b", ",,", "=".repeat(600)],
  "Millrace-Tenant": ["default", "acme", "a:b", "x".repeat(65), "{a}", "__proto__"],
  Authorization: ["Bearer x", "Bearer", "Basic YTpi", "Bearer mr_0123456789abcdef_x", "x".repeat(3_000)],
  "X-Request-Id": ["a", "x".repeat(900), "a b", "<b>"],
  "X-Forwarded-For": ["127.0.0.1", "::1, a", "x".repeat(900)],
  "X-HTTP-Method-Override": ["PATCH", "DELETE", "HEAD", "GET", "CONNECT", "constructor"],
  "Tus-Resumable": ["1.0.0", "0.2.2", "x"],
  "Upload-Length": ["5", "0", "-1", "1e3", "99999999999999999999", "0x5", ""],
  "Upload-Offset": ["0", "1", "-1", "99999999999999999999", "a"],
  "Upload-Defer-Length": ["1", "2"],
  "Upload-Metadata": [
    "filename YS50eHQ=",
    "filename",
    "a YQ==,a YQ==",
    "__proto__ YQ==",
    "filename Li4vLi4vYQ==",
    "workflow Z3JlZXQ=",
    ",",
  ],
  "Upload-Checksum": ["sha1 YQ==", "sha256 x", "md5 a", " "],
  "Access-Control-Request-Method": ["GET", "x"],
  Upgrade: ["h2c", "foo/2"],
  Host: ["localhost", "evil.example", "localhost:99999", "[::1", "127.0.0.1:1"],
};

/** Requests of every operation of an API, each with something odd about it. */
export class Requests {
  readonly #operations: Operation[];
  /** Of what there is, to be asked for. */
  readonly #there: string[] = [
    "greet",
    "asking",
    "hello",
    "approve",
    "default",
    "hourly",
    "billing",
    "a.key",
    "millrace-hashing-1",
  ];

  // biome-ignore lint/suspicious/noExplicitAny: an OpenAPI document
  constructor(api: any, random: Random) {
    const seed = random.whole(1, 2 ** 30);
    this.#operations = Object.entries<Record<string, Described>>(api.paths).flatMap(([path, methods]) =>
      Object.entries(methods)
        .filter(([, { operationId }]) => !LEFT_OUT.test(operationId))
        .map(([method, described]) => operationOf(method, path, described, seed)),
    );
  }

  /** An id that is there, to be asked for from now on. */
  learn(id: string): void {
    if (this.#there.length === MOST_KNOWN) this.#there.splice(NAMES, 1);
    this.#there.push(id);
  }

  next(random: Random): FuzzRequest {
    const operation = random.pick(this.#operations);
    const method =
      random.next() < 0.03
        ? random.pick(["GET", "PUT", "PATCH", "OPTIONS", "HEAD", "TRACE", "QUERY"])
        : operation.method;
    const headers: Record<string, string> = {};
    for (const name of operation.headers) {
      const choices = HEADERS[name];
      if (choices !== undefined && random.next() < 0.6)
        headers[name] = choices[random.next() < 0.5 ? 0 : random.whole(0, choices.length - 1)]!;
    }
    const body = this.#body(random, operation, headers);
    for (let times = random.whole(0, 2); times > 0; times--) {
      const name = random.pick(Object.keys(HEADERS));
      headers[name] = random.pick(HEADERS[name]!);
    }
    return { method, path: this.#path(random, operation), headers, body };
  }

  #path(random: Random, { path, query }: Operation): string {
    const filled = path.replaceAll(/\{\w+\}/g, () => {
      if (random.next() < 0.75) return encodeURIComponent(random.pick(this.#there));
      const text = random.pick(ODD_TEXTS);
      return random.next() < 0.5 ? sendable(text) : encodeURIComponent(text.toWellFormed());
    });
    const asked = query.filter(() => random.next() < 0.25).map((name) => `${name}=${this.#value(random)}`);
    if (random.next() < 0.05) asked.push(`${sendable(random.pick(ODD_TEXTS))}=${this.#value(random)}`);
    return asked.length === 0 ? filled : `${filled}?${asked.join("&")}`;
  }

  #value(random: Random): string {
    if (random.next() < 0.3) return encodeURIComponent(random.pick(this.#there));
    return sendable(
      random.next() < 0.5 ? String(random.whole(0, 110)) : encodeURIComponent(random.pick(ODD_TEXTS).toWellFormed()),
    );
  }

  #body(random: Random, { bodies, isJson }: Operation, headers: Record<string, string>): Buffer | undefined {
    if (bodies.length > 0) {
      headers["Content-Type"] = "application/json";
      const good = random.pick(bodies);
      const value = random.next() < 0.3 ? good : changed(good, random);
      return Buffer.from(JSON.stringify(value) ?? "");
    }
    if (isJson || random.next() < 0.4) return undefined;
    const value = oddValue(random);
    return Buffer.from((typeof value === "string" ? value : JSON.stringify(value)).slice(0, 5_000));
  }
}

/** Names are in ODD_TEXTS that no client of HTTP sends as they are. */
function sendable(text: string): string {
  return text.replaceAll(/[^\x21-\x7e]|#/g, "%20").slice(0, 3_000);
}

function operationOf(method: string, path: string, described: Described, seed: number): Operation {
  const { operationId, parameters = [], requestBody } = described;
  const of = (place: string) => parameters.filter((each) => each.in === place).map(({ name }) => name);
  const schema = requestBody?.content["application/json"]?.schema;
  const good = GOOD[operationId];
  const bodies =
    schema === undefined
      ? []
      : fc
          .sample(fitting(schema), { seed, numRuns: BODIES })
          .map((body, i) => (good === undefined ? body : i % 2 === 0 ? good : { ...(body as object), ...good }));
  return {
    ...{ method: method.toUpperCase(), path, id: operationId },
    ...{ query: of("query"), headers: of("header"), isJson: method === "get" || method === "head", bodies },
  };
}
