import { type Context, Hono } from "hono";
import * as v from "valibot";
import type { Draw, Traced } from "../../engine/index.ts";
import type { Caller, Door } from "../access/caller.ts";
import type { Env, Gateway } from "../context.ts";
import { idempotencyKey } from "../idempotency.ts";
import { readJson, readQuery } from "../json.ts";
import { answerOnce } from "../keyed/answer-once.ts";
import { traceOf } from "../trace.ts";
import { type Answers, type Declaration, type Method, type Operation, takesKey } from "./declaration.ts";

/** A request that has been let in and fits what its operation takes. */
export interface Asked<Q, B, A extends Answers> {
  readonly c: Context<Env>;
  readonly caller: Caller;
  readonly tenant: string;
  readonly query: Q;
  readonly body: B;
  /** The JSON body as it was sent. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The `Idempotency-Key`, if the operation takes one and it was given. */
  readonly key: string | undefined;
  /** What to make something with, if the operation is `by-reply` and has a key. */
  readonly draw: Draw | undefined;
  /** The request's place in a trace, if the operation takes one. */
  readonly trace: Traced;
  /** One of the declared answers. */
  reply<S extends keyof A & number>(status: S, value: ReplyOf<A[S]>, headers?: Record<string, string>): Response;
}

type ReplyOf<T> = T extends { schema: infer S extends v.GenericSchema } ? v.InferOutput<S> : never;

const NO_QUERY = v.strictObject({});
const NO_BYTES = new Uint8Array(0);

/** The operations of the API: each is declared with its handler, which is called once the declaration holds. */
export class Operations {
  readonly app = new Hono<Env>();
  readonly all: Operation[] = [];
  readonly #door: Door;
  readonly #gateway: Gateway;
  readonly #serves: "all" | "public";

  /** @param serves `public` leaves out what is declared to be for operators */
  constructor(door: Door, gateway: Gateway, serves: "all" | "public" = "all") {
    this.#door = door;
    this.#gateway = gateway;
    this.#serves = serves;
  }

  /**
   * @param method `head` goes before `get` on the same path; without one, `get` answers for it
   * @param path with its parameters as `{id}`
   */
  on<Q extends v.GenericSchema, B extends v.GenericSchema, const A extends Answers>(
    method: Method,
    path: string,
    declaration: Declaration<Q, B, A>,
    handle: (asked: Asked<v.InferOutput<Q>, v.InferOutput<B>, A>) => Response | Promise<Response>,
  ): this {
    if (declaration.admin && this.#serves === "public") return this;
    this.all.push({ method, path, declaration });
    const { millrace, log, limits: usual } = this.#gateway;
    const limits = { ...usual, jsonBytes: declaration.bodyBytes ?? usual.jsonBytes };
    const parts = { requests: millrace.requests, leaseMs: limits.idempotencyLeaseMs, log };
    // Hono looks for HEAD among the routes of GET.
    const isHead = method === "head";
    this.app.on(isHead ? "get" : method, path.replaceAll(/\{(\w+)\}/g, ":$1"), async (c, next) => {
      if (isHead && c.req.method !== "HEAD") return next();
      const caller = await this.#door.admit(c, declaration);
      c.set("caller", caller);
      // Who asks for health adds what it likes.
      const none = declaration.scope === "public" ? undefined : NO_QUERY;
      const schema = declaration.query ?? none;
      const query = (
        schema === undefined ? {} : readQuery(c, schema, declaration.ticket && "ticket")
      ) as v.InferOutput<Q>;
      const key = takesKey(declaration) ? idempotencyKey(c) : undefined;
      const trace = declaration.traced ? traceOf(c) : {};
      const { value, bytes } =
        declaration.body === undefined
          ? { value: undefined, bytes: NO_BYTES }
          : await readJson(c, declaration.body, limits, declaration.bodyOptional);
      const body = value as v.InferOutput<B>;
      const reply = (status: number, value: unknown, headers?: Record<string, string>) =>
        c.json(value, status as 200, { ...nextPage(c, value), ...headers });
      const asked = { c, caller, tenant: caller.tenant, query, body, bytes, key, trace, reply };
      const make = (draw?: Draw) => handle({ ...asked, draw });
      if (declaration.idempotent !== "by-reply" || key === undefined) return make();
      return answerOnce(c, parts, { operation: declaration.id, caller, key, bytes }, make);
    });
    return this;
  }
}

/** Where the next page of a list is (RFC 8288), if this is a page with one: the same request with its cursor. */
function nextPage(c: Context<Env>, value: unknown): Record<string, string> {
  const { data, next } = value as { data?: unknown; next?: unknown };
  if (!Array.isArray(data) || typeof next !== "string") return {};
  const { pathname, searchParams } = new URL(c.req.url);
  searchParams.set("cursor", next);
  return { Link: `<${pathname}?${searchParams}>; rel="next"` };
}
