import fc from "fast-check";
import { broken, fitting, type Schema } from "./schema-arbitrary.ts";

/** An operation of an OpenAPI document, as far as it is looked at. */
export interface Operation {
  operationId: string;
  security: unknown[];
  parameters: { name: string; in: string; required?: boolean; schema: Schema }[];
  requestBody?: { required: boolean; content: Record<string, { schema: Schema }> };
  responses: Record<string, { $ref?: string; content?: Record<string, { schema?: Schema }> }>;
}

/** What a schema cannot say. */
export interface Known {
  /** By the name of a parameter of the path, what there is. */
  there: Record<string, string[]>;
  /** By operation, what of that it is to be asked of. */
  paths: Record<string, Record<string, string>>;
  /** By operation, a body that is taken. */
  bodies: Record<string, object>;
  /** By operation, header fields that have to be right. */
  headers: Record<string, Record<string, string>>;
  /** By operation, a query that makes it possible. */
  queries: Record<string, Record<string, string>>;
}

/** A request as it is sent. */
export interface Sent {
  path: Record<string, string>;
  query: Record<string, unknown>;
  headers: Record<string, string>;
  body: string | undefined;
}

/** Requests that fit what an operation says of itself, or such as may not. */
export function requests(
  { operationId, parameters, requestBody }: Operation,
  isGood: boolean,
  { there, paths, bodies, headers: given }: Known,
): fc.Arbitrary<Sent> {
  const of = (place: string) => parameters.filter((each) => each.in === place);
  const wanted = paths[operationId];
  const path = fc.record(
    Object.fromEntries(
      of("path").map(({ name }) => {
        const known = fc.constantFrom(...there[name]!);
        const odd = fc
          .string({ minLength: 1, maxLength: 70, unit: "grapheme" })
          .filter((text) => !/^\.{1,2}$/.test(text));
        if (isGood && wanted?.[name] !== undefined) return [name, half(known, fc.constant(wanted[name]))];
        return [name, isGood ? known : fc.oneof({ weight: 3, arbitrary: known }, { weight: 1, arbitrary: odd })];
      }),
    ),
  );
  const one = (schema: Schema) => (isGood ? fitting(schema) : fc.oneof(fitting(schema), fc.string({ maxLength: 30 })));
  const query = half<Record<string, unknown>>(
    fc.constant({}),
    fc.record(Object.fromEntries(of("query").map(({ name, schema }) => [name, one(schema)])), { requiredKeys: [] }),
  );
  const key = fc.string({ minLength: 1, maxLength: 12, unit: fc.constantFrom("a", "b", "-", " ", "~") });
  const headers = fc.record(
    Object.fromEntries(
      of("header")
        .filter(({ name }) => name === "Idempotency-Key")
        .map(({ name }) => [name, key.map((text) => `k${text}k`)]),
    ),
    { requiredKeys: [] },
  );
  const schema = requestBody?.content["application/json"]?.schema;
  const body =
    schema === undefined ? fc.constant(undefined) : isGood ? goodBody(schema, bodies[operationId]) : broken(schema);
  return fc.record({ path, query, headers, body }).map(({ path, query, headers, body }) => ({
    ...{ path: path as Record<string, string>, query },
    headers: {
      ...(headers as Record<string, string>),
      ...(of("header").some(({ name }) => name === "Tus-Resumable") ? { "Tus-Resumable": "1.0.0" } : {}),
      ...given[operationId],
      ...(body === undefined ? {} : { "Content-Type": "application/json" }),
    },
    body: body === undefined ? undefined : JSON.stringify(body),
  }));
}

function goodBody(schema: Schema, good: object | undefined): fc.Arbitrary<unknown> {
  if (good === undefined) return fitting(schema);
  const more = fitting(schema).map((value) => ({ ...(value as object), ...good }));
  return half<unknown>(fc.constant(good), more);
}

/** The request that is most likely to be done. */
export function best({ operationId, parameters, requestBody }: Operation, known: Known): Sent | undefined {
  const body = known.bodies[operationId];
  if (requestBody?.required && requestBody.content["application/json"] !== undefined && body === undefined)
    return undefined;
  const named = parameters.filter((each) => each.in === "path").map(({ name }) => name);
  const isTus = parameters.some(({ name }) => name === "Tus-Resumable");
  return {
    path: Object.fromEntries(named.map((name) => [name, known.paths[operationId]?.[name] ?? known.there[name]![0]!])),
    query: known.queries[operationId] ?? {},
    headers: {
      ...(isTus ? { "Tus-Resumable": "1.0.0" } : {}),
      ...known.headers[operationId],
      ...(body === undefined ? {} : { "Content-Type": "application/json" }),
    },
    body: body === undefined ? undefined : JSON.stringify(body),
  };
}

function half<T>(one: fc.Arbitrary<T>, other: fc.Arbitrary<T>): fc.Arbitrary<T> {
  return fc.oneof(one, other);
}
