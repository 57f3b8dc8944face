import { lookup } from "node:dns/promises";
import { request as httpRequest, type IncomingMessage, type RequestOptions } from "node:http";
import { request as httpsRequest } from "node:https";
import { FatalError } from "../../../engine/index.ts";
import { type Destinations, hostOf } from "../destinations.ts";
import type { Resolved } from "../workflow.ts";

/** Of an answer so much is read: what counts is its status. */
const ANSWER_BYTES = 4_096;
const MOST_HEADER_BYTES = 16_384;

export interface PostOptions {
  headers: Record<string, string>;
  body: string;
  destinations: Destinations;
  resolve?: ((host: string) => Promise<readonly Resolved[]>) | undefined;
  /** Ends it all. */
  signal: AbortSignal;
}

export interface Answer {
  status: number;
  retryAfter: string | undefined;
  /** How it begins. */
  body: Uint8Array;
}

/**
 * Posts to a URL that somebody else has chosen. Its host is looked up once, and the connection goes to the address that was
 * checked, whatever the name stands for by then. A redirection is an answer like any other.
 *
 * @throws FatalError `address_refused`; what goes wrong on the way
 */
export async function post(url: URL, options: PostOptions): Promise<Answer> {
  const { headers, body, destinations, resolve = systemLookup, signal } = options;
  const host = hostOf(url);
  const bytes = new TextEncoder().encode(body);
  const [chosen] = await unlessAborted(resolve(host), signal).then((all) => checked(host, all, destinations));
  const isName = chosen !== host;
  const response = await send(url, bytes, {
    host: chosen!,
    port: url.port === "" ? undefined : Number(url.port),
    path: url.pathname + url.search,
    method: "POST",
    headers: { ...headers, host: url.host, "content-length": String(bytes.byteLength) },
    // A connection of its own: one that is kept would not be looked up again.
    agent: false,
    maxHeaderSize: MOST_HEADER_BYTES,
    signal,
    ...(isName ? { servername: host } : {}),
  });
  try {
    return {
      status: response.statusCode ?? 0,
      retryAfter: response.headers["retry-after"],
      body: await beginning(response),
    };
  } finally {
    response.destroy();
  }
}

function checked(host: string, all: readonly Resolved[], destinations: Destinations): [string, ...string[]] {
  const addresses = all.map(({ address }) => address);
  const refused = addresses.find((address) => !destinations.mayReach(host, address));
  if (refused !== undefined)
    throw new FatalError(`The host ${host} has an address that is not a public one.`, { code: "address_refused" });
  const [first, ...rest] = addresses;
  if (first === undefined) throw new Error(`The host ${host} has no address.`);
  return [first, ...rest];
}

async function systemLookup(host: string): Promise<readonly Resolved[]> {
  return lookup(host, { all: true, order: "ipv4first" });
}

function send(url: URL, body: Uint8Array, options: RequestOptions): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = url.protocol === "https:" ? httpsRequest(options) : httpRequest(options);
    request.once("response", resolve).on("error", reject);
    request.end(body);
  });
}

async function beginning(response: IncomingMessage): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response) {
    chunks.push(chunk as Uint8Array);
    size += (chunk as Uint8Array).byteLength;
    if (size >= ANSWER_BYTES) break;
  }
  return Buffer.concat(chunks).subarray(0, ANSWER_BYTES);
}

/** A look-up cannot be ended: it is left alone. */
async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  let onAbort = () => {};
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort);
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
    promise.catch(() => {});
  }
}
