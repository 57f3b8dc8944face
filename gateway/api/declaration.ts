import type * as v from "valibot";
import type { Scope } from "../../engine/index.ts";

export const TAGS = {
  Runs: "Starting runs, seeing them, and what is said to them.",
  Live: "Runs as they happen.",
  Documents: "What runs read and write that is too large for JSON.",
  Models: "Prompts, and the models that answer them.",
  Schedules: "Runs that start by the clock.",
  "Dead letters": "What failed for good.",
  Operating: "How much work waits, who does it, and holding it back.",
  Configuration: "What every process is told.",
  Subscriptions: "Other services that are told of events.",
  Webhooks: "Requests that tell others of events, and requests of others that start something here.",
  Access: "Who may do what.",
  Health: "Whether this process works.",
} as const;

export type Method = "get" | "post" | "put" | "patch" | "delete" | "head" | "options";

/** One way to answer. Without a schema there is no body, or one of `type` that is not JSON. */
export interface Answer<S extends v.GenericSchema | undefined = v.GenericSchema | undefined> {
  description: string;
  schema?: S;
  /** The media type. Default `application/json` where there is a schema. */
  type?: string;
  /** Header fields that it carries beside the usual ones, and what they say. */
  headers?: Record<string, string>;
}

export type Answers = Record<number, Answer>;

/** A body that is not JSON, which the handler reads itself. */
export interface RawBody {
  /** Media types that are taken, `*` + `/*` for any. */
  types: readonly string[];
  description: string;
}

/**
 * An operation of the API: what it takes, who may call it, and what it answers. It is checked by this, and the OpenAPI document
 * says the same.
 */
export interface Declaration<
  Q extends v.GenericSchema = v.GenericSchema,
  B extends v.GenericSchema = v.GenericSchema,
  A extends Answers = Answers,
> {
  id: string;
  tag: keyof typeof TAGS;
  summary: string;
  description?: string;
  /** What the caller must be allowed to do; `known` for whoever is let in at all, `public` for anybody. */
  scope: Scope | "known" | "public";
  /** Whether it is for operators: a gateway with a port for them has it on no other. */
  admin?: boolean;
  /** Whether a ticket does in place of a key: one of runs that may be watched, or also be sent signals. */
  ticket?: "watch" | "signal";
  query?: Q;
  /** Of a JSON body. */
  body?: B;
  /** Whether the body may be left out. */
  bodyOptional?: boolean;
  /** How large a JSON body may be, if not as large as the others. */
  bodyBytes?: number;
  raw?: RawBody;
  /**
   * What makes it safe to repeat, which every POST says: `always` needs no more; `by-key` sees to the `Idempotency-Key` itself;
   * of `by-reply` the gateway keeps the reply for the key, and it makes what it makes with the draw that it is given.
   */
  idempotent?: "always" | "by-key" | "by-reply";
  /** Whether the run that it starts is in the trace of the request. */
  traced?: boolean;
  /** Header fields that it reads beside the usual ones, and what they do. */
  headers?: Record<string, string>;
  answers: A;
  /** The statuses of problems that it answers with, beside those that follow from the rest. */
  problems?: readonly number[];
  /** What its errors look like, where they are no problems. */
  errors?: v.GenericSchema;
}

/** Whether `Idempotency-Key` is taken. */
export function takesKey({ idempotent }: { idempotent?: Declaration["idempotent"] | undefined }): boolean {
  return idempotent === "by-key" || idempotent === "by-reply";
}

/** A declaration at its place. */
export interface Operation {
  method: Method;
  /** With its parameters as `{id}`. */
  path: string;
  declaration: Declaration;
}
