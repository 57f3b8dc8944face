import type { Context } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { type Draw, type KeyedRequest, newDraw, type RequestsApi } from "../../engine/index.ts";
import { bearerOf, type Caller } from "../access/caller.ts";
import type { Env, Log } from "../context.ts";
import { digestOf } from "../idempotency.ts";
import { ProblemError, problemOf } from "../problem.ts";
import { type Seal, sealBy, utf8 } from "./seal.ts";

/** Of a longer reply only is kept where what it made is. */
const MOST_CHARACTERS = 65_536;
const KEPT_HEADERS = ["Content-Type", "Location", "Cache-Control"];

interface Reply {
  status: number;
  headers: Record<string, string>;
  body: string;
}

interface Parts {
  requests: RequestsApi;
  /** How long one process has for it before another may take it up. */
  leaseMs: number;
  log: Log;
}

interface Sent {
  operation: string;
  caller: Caller;
  key: string;
  bytes: Uint8Array<ArrayBuffer>;
}

/**
 * Carries out a request with an `Idempotency-Key` once, and gives its reply to whoever repeats it. The key is its holder's, within
 * one operation. The reply is stored so that only the same key and the same credential open it, since it may tell a secret.
 *
 * A process that dies before its reply is stored leaves what it has drawn to the next one, which makes the same thing with it.
 *
 * @throws ProblemError 422 if something else was sent with the key; 409 if it is being carried out just now, or was with another
 *   credential; and what `make` throws
 */
export async function answerOnce(
  c: Context<Env>,
  { requests, leaseMs, log }: Parts,
  { operation, caller, key, bytes }: Sent,
  make: (draw: Draw) => Response | Promise<Response>,
): Promise<Response> {
  const { pathname, search } = new URL(c.req.url);
  const digest = await digestOf([c.req.method, pathname + search, bytes]);
  const request: KeyedRequest = {
    ...{ tenant: caller.tenant, key, digest },
    scope: JSON.stringify(["reply", operation, caller.name]),
  };
  const seal = await sealBy([key, bearerOf(c) ?? ""], JSON.stringify([request.tenant, request.scope]));
  const fresh = newDraw();
  const token = crypto.randomUUID();
  const { id, random } = fresh;
  const begun = await requests.begin(request, { token, id, seed: await seal.close("seed", random), leaseMs });
  if (begun.state === "busy")
    throw new ProblemError(
      409,
      "idempotency_in_progress",
      "A request with this Idempotency-Key is being carried out. Ask again in a moment.",
      { headers: { "Retry-After": "1" } },
    );
  if (begun.state === "answered") return repeated(c, seal, begun);

  let reply: Reply;
  try {
    reply = await taken(await make(begun.id === id ? fresh : await drawnBefore(seal, begun)));
  } catch (error) {
    // Whatever was refused was not made.
    const madeNothing = problemOf(error).status < 500;
    await requests.leave(request, token, madeNothing).catch((failure) => {
      log.warn("the key of {operation} stays taken for a while: {error}", { operation, error: failure });
    });
    throw error;
  }
  const location = reply.headers.Location ?? "";
  const json = JSON.stringify(reply);
  const sealed = json.length > MOST_CHARACTERS ? "" : await seal.close("reply", utf8(json));
  try {
    const kept = await requests.answer(request, sealed, location);
    // Another took it up meanwhile, made the same and was faster.
    if (kept !== sealed) return await repeated(c, seal, { reply: kept, location });
  } catch (error) {
    if (error instanceof ProblemError) throw error;
    // Repeated, it makes the same thing again.
    log.warn("the reply of {operation} is not kept: {error}", { operation, error });
  }
  return told(c, reply);
}

async function taken(response: Response): Promise<Reply> {
  const headers = KEPT_HEADERS.map((name) => [name, response.headers.get(name)] as const);
  return {
    status: response.status,
    headers: Object.fromEntries(headers.filter((each): each is [string, string] => each[1] !== null)),
    body: await response.text(),
  };
}

function told(c: Context<Env>, { status, headers, body }: Reply): Response {
  return c.body(body, status as ContentfulStatusCode, headers);
}

async function repeated(
  c: Context<Env>,
  seal: Seal,
  { reply, location }: { reply: string; location: string },
): Promise<Response> {
  const opened = await seal.open("reply", reply);
  if (opened !== undefined) return told(c, JSON.parse(new TextDecoder().decode(opened)) as Reply);
  const made = location === "" ? "was carried out" : `has made ${location}`;
  throw unreadable(
    `A request with this Idempotency-Key ${made}. What it was answered opens only with the credential that it came with.`,
    location,
  );
}

async function drawnBefore(seal: Seal, { id, seed }: { id: string; seed: string }): Promise<Draw> {
  const random = await seal.open("seed", seed);
  if (random !== undefined) return { id, random };
  throw unreadable(
    `A request with this Idempotency-Key was begun with another credential and not answered. It may have made ${id}.`,
  );
}

function unreadable(what: string, location = ""): ProblemError {
  return new ProblemError(
    409,
    "idempotency_unreadable",
    `${what} If a secret of it is lost, give it another one; to make something else, send another key.`,
    { headers: location === "" ? {} : { Location: location } },
  );
}
