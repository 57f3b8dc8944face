import { type ConversionConfig, type JsonSchema, toJsonSchema, toJsonSchemaDefs } from "@valibot/to-json-schema";
import type * as v from "valibot";
import { ID_PATTERN } from "../../engine/index.ts";
import { NAMED } from "../views/named.ts";
import { type Answer, type Declaration, type Operation, TAGS, takesKey } from "./declaration.ts";
import { bare, open, overrideRef } from "./json-schema.ts";

/** An OpenAPI 3.1 document, as JSON holds it (https://spec.openapis.org/oas/v3.1.1.html). */
export type OpenApi = Record<string, unknown>;

const IDEMPOTENCY_KEY = {
  name: "Idempotency-Key",
  in: "header",
  description: "1 to 255 printable ASCII characters. The same request with the same key is carried out once.",
  schema: { type: "string", minLength: 1, maxLength: 255 },
};

/** https://www.w3.org/TR/trace-context/ */
const TRACE = {
  traceparent: "Where the request is in a trace, which the run goes on with. One that is invalid is ignored.",
  tracestate: "What goes with that: as many of its first members as go into 96 characters are kept.",
};
const TRACED = {
  traceparent: "Where that trace has gone on, if the request or the gateway is in one.",
};

/** Every problem that there is, by what makes it possible. */
const PROBLEMS: Record<number, string> = {
  400: "The request is malformed.",
  401: "No key, or one that is not known.",
  403: "The key may not do this.",
  404: "There is no such thing, or it is another tenant's.",
  408: "The body did not come in time.",
  409: "It does not go with how things stand.",
  410: "It was there, and is gone.",
  412: "A precondition does not hold.",
  413: "The body is too large.",
  415: "The body is of a type that is not taken.",
  416: "There is no such range.",
  422: "Something of the request does not fit.",
  423: "Somebody else is at it.",
  426: "This is for WebSockets.",
  429: "Too many requests, or the store is nearly full: ask again after `Retry-After` seconds.",
  460: "What came has another checksum than was said.",
  500: "Something went wrong here.",
  502: "A server behind this one refuses it.",
  503: "The store cannot be reached, or has not confirmed: ask again, with the same `Idempotency-Key` if there is one.",
  504: "It took too long.",
};

/** The document of these operations. */
export function openApi(operations: readonly Operation[], { version }: { version: string }): OpenApi {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const { path, method, declaration } of operations) {
    paths[path] ??= {};
    paths[path][method] = operationObject(path, declaration);
  }
  return {
    openapi: "3.1.1",
    info: {
      title: "Millrace",
      version,
      description: "Workflows on Redis Streams: start runs, watch them live, see what became of them.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/" }],
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    paths,
    components: {
      schemas: open(toJsonSchemaDefs(NAMED as never, { ...OPTIONS, typeMode: "output" })),
      responses: Object.fromEntries(
        Object.entries(PROBLEMS).map(([status, description]) => [
          `Problem${status}`,
          {
            description,
            content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } },
          },
        ]),
      ),
      securitySchemes: {
        key: { type: "http", scheme: "bearer", description: "An API key, or a JWT of the configured issuer." },
        ticket: { type: "apiKey", in: "query", name: "ticket", description: "Of `POST /v1/tickets`; it holds once." },
      },
    },
  };
}

function operationObject(path: string, declaration: Declaration): Record<string, unknown> {
  const { id, tag, summary, description, scope, ticket, idempotent, traced, answers, errors } = declaration;
  const key = { key: scope === "public" || scope === "known" ? [] : [scope] };
  const body = requestBody(declaration);
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(description === undefined ? {} : { description }),
    ...(idempotent === undefined ? {} : { "x-idempotent": idempotent }),
    security: scope === "public" ? [] : ticket === undefined ? [key] : [key, { ticket: [] }],
    parameters: [...pathParameters(path), ...queryParameters(declaration), ...headerParameters(declaration)],
    ...(body === undefined ? {} : { requestBody: body }),
    responses: {
      ...Object.fromEntries(
        Object.entries(answers).map(([status, answer]) => [status, response(traced ? inTrace(answer) : answer)]),
      ),
      ...Object.fromEntries(
        problemsOf(path, declaration)
          .filter((status) => !(status in answers))
          .map((status) => [status, problemAs(errors, status)]),
      ),
    },
  };
}

function problemAs(errors: Declaration["errors"], status: number): unknown {
  if (errors === undefined) return { $ref: `#/components/responses/Problem${status}` };
  return response({ description: PROBLEMS[status] ?? "An error.", schema: errors });
}

/** The statuses of problems that an operation may answer with. */
function problemsOf(path: string, declaration: Declaration): number[] {
  const { scope, query, body, raw, idempotent, problems = [] } = declaration;
  const statuses = new Set([...problems, 500, 503]);
  const add = (...more: number[]) => {
    for (const status of more) statuses.add(status);
  };
  if (scope !== "public") add(401, 403, 422, 429);
  if (path.includes("{")) add(404);
  if (query !== undefined) add(422);
  if (body !== undefined || raw !== undefined) add(400, 408, 413, 415, 422);
  if (takesKey({ idempotent })) add(400, 422);
  if (idempotent === "by-reply") add(409);
  return [...statuses].sort((a, b) => a - b);
}

function pathParameters(path: string): unknown[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    schema: name === "id" ? { type: "string", pattern: ID_PATTERN.source } : { type: "string" },
  }));
}

function queryParameters({ query }: Declaration): unknown[] {
  if (query === undefined) return [];
  const { properties = {}, required = [] } = takenSchema(query);
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    in: "query",
    ...(required.includes(name) ? { required: true } : {}),
    schema,
  }));
}

function inTrace(answer: Answer): Answer {
  return { ...answer, headers: { ...answer.headers, ...TRACED } };
}

function headerParameters({ idempotent, traced, headers = {} }: Declaration): unknown[] {
  const others = Object.entries({ ...headers, ...(traced ? TRACE : {}) }).map(([name, description]) => ({
    name,
    in: "header",
    description,
    schema: { type: "string" },
  }));
  return takesKey({ idempotent }) ? [IDEMPOTENCY_KEY, ...others] : others;
}

function requestBody({ body, bodyOptional = false, raw }: Declaration): unknown {
  if (body !== undefined)
    return { required: !bodyOptional, content: { "application/json": { schema: takenSchema(body) } } };
  if (raw === undefined) return undefined;
  const content = Object.fromEntries(raw.types.map((type) => [type, { schema: rawSchema(type) }]));
  return { required: !bodyOptional, description: raw.description, content };
}

function rawSchema(type: string): JsonSchema {
  if (type !== "multipart/form-data") return {};
  return { type: "object", properties: { file: { contentEncoding: "binary" } }, required: ["file"] } as JsonSchema;
}

function response({ description, schema, type, headers = {} }: Answer): unknown {
  const content =
    schema === undefined
      ? type === undefined
        ? undefined
        : { [type]: {} }
      : { [type ?? "application/json"]: { schema: replySchema(schema) } };
  const fields = Object.entries(headers).map(([name, description]) => [
    name,
    { description, schema: { type: "string" } },
  ]);
  return {
    description,
    ...(fields.length === 0 ? {} : { headers: Object.fromEntries(fields) }),
    ...(content === undefined ? {} : { content }),
  };
}

const OPTIONS = {
  target: "draft-2020-12",
  errorMode: "ignore",
  definitions: NAMED as never,
  overrideRef,
} satisfies ConversionConfig;

/** What a schema takes, as JSON Schema. */
function takenSchema(schema: v.GenericSchema): JsonSchema {
  return bare(toJsonSchema(schema as never, { ...OPTIONS, typeMode: "input" }));
}

/** What is answered, as JSON Schema. */
function replySchema(schema: v.GenericSchema): JsonSchema {
  return open(bare(toJsonSchema(schema as never, { ...OPTIONS, typeMode: "output" })));
}
