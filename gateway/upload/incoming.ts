import type { Context } from "hono";
import { concat, readBody } from "../body.ts";
import type { Env } from "../context.ts";
import type { Limits } from "../limits.ts";
import { ProblemError } from "../problem.ts";
import { HEAD_BYTES, mediaType } from "./media-type.ts";
import { FORM_BYTES, type IncomingFile, readForm } from "./multipart.ts";
import { cleanName } from "./name.ts";

/** A document on its way in, of which the beginning has been seen. */
export interface IncomingDocument {
  name: string;
  /** By its content. */
  type: string;
  content: AsyncIterable<Uint8Array>;
  /** Lets go of the request's body. To be called in any case. */
  close(): Promise<void>;
}

/** Types that clients send when nobody told them one. */
const UNTOLD = new Set(["", "application/octet-stream", "application/x-www-form-urlencoded"]);

/**
 * The document that a request uploads: the part `file` of a form, or the body itself.
 *
 * @param givenName of the query; goes before the form's
 * @throws ProblemError 400, 408, 413, 415, 422; nothing has been stored then
 */
export async function receive(
  c: Context<Env>,
  limits: Limits,
  givenName: string | undefined,
): Promise<IncomingDocument> {
  const type = c.req.header("content-type") ?? "";
  const isForm = /^multipart\/form-data\s*(;|$)/i.test(type);
  if (!isForm && /^multipart\//i.test(type))
    throw new ProblemError(415, "content_type", "Of multipart bodies only multipart/form-data is read.");
  const body = readBody(c.req.raw, {
    maxBytes: limits.uploadBytes + (isForm ? FORM_BYTES : 0),
    idleMs: limits.bodyIdleMs,
  });
  try {
    const file: IncomingFile = isForm ? await readForm(body, type) : { name: undefined, type, content: body };
    const document = await identify(file.content, cleanName(givenName ?? file.name ?? ""), file.type);
    return { ...document, close: async () => void (await body.return()) };
  } catch (error) {
    await body.return();
    throw error;
  }
}

/**
 * Sees the beginning of a document.
 *
 * @param said what its sender says it is
 * @throws ProblemError 415, 422, and what the content throws
 */
export async function identify(
  content: AsyncGenerator<Uint8Array>,
  name: string,
  said: string | undefined,
): Promise<Omit<IncomingDocument, "close">> {
  const chunks = await peek(content, HEAD_BYTES);
  const head = concat(chunks).subarray(0, HEAD_BYTES);
  if (head.byteLength === 0) throw new ProblemError(422, "empty_document", "The document is empty.");
  const declared = UNTOLD.has(said ?? "") ? undefined : said;
  return { name, type: await mediaType(head, name, declared), content: chain(chunks, content) };
}

/** The first chunks of a content, `bytes` of it or all. */
async function peek(content: AsyncGenerator<Uint8Array>, bytes: number): Promise<Uint8Array[]> {
  const chunks: Uint8Array[] = [];
  for (let size = 0; size < bytes; ) {
    const { done, value } = await content.next();
    if (done) break;
    chunks.push(value);
    size += value.byteLength;
  }
  return chunks;
}

async function* chain(first: readonly Uint8Array[], rest: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* first;
  yield* rest;
}
