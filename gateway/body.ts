import { ProblemError } from "./problem.ts";

/**
 * A request's body, chunk by chunk as it is asked for, with its bytes counted here: what Content-Length says is only
 * believed when it already says too much.
 *
 * @param options.signal ends it with its reason
 * @throws ProblemError 413 past `maxBytes`, 408 after `idleMs` of silence, 400 if it was cut or comes in
 *   another coding than chunks, 415 if it is compressed
 */
export async function* readBody(
  request: Request,
  { maxBytes, idleMs, signal }: { maxBytes: number; idleMs: number; signal?: AbortSignal | undefined },
): AsyncGenerator<Uint8Array, void, undefined> {
  const encoding = request.headers.get("content-encoding");
  if (encoding !== null && encoding.toLowerCase() !== "identity")
    throw new ProblemError(415, "content_encoding", "Send the body without a Content-Encoding.");
  const coding = request.headers.get("transfer-encoding");
  if (coding !== null && coding.trim().toLowerCase() !== "chunked")
    throw new ProblemError(400, "transfer_encoding", "Send the body with a Content-Length, or chunked and no more.");
  const declared = request.headers.get("content-length");
  if (declared !== null && Number(declared) > maxBytes) throw tooLarge(maxBytes);
  if (request.body === null) return;

  const reader = request.body.getReader();
  let size = 0;
  let ended = false;
  try {
    for (;;) {
      const { done, value } = await readInTime(reader, idleMs, signal);
      if (done) break;
      size += value.byteLength;
      if (size > maxBytes) throw tooLarge(maxBytes);
      yield value;
    }
    ended = true;
    // Not every runtime tells a body that was cut from one that ended.
    if (declared !== null && Number(declared) !== size) throw cut();
  } finally {
    // What is left on the wire is the server's to drain or drop; the reply does not wait for it.
    if (!ended) reader.cancel().catch(() => reader.releaseLock());
  }
}

async function readInTime(reader: ReadableStreamDefaultReader<Uint8Array>, idleMs: number, signal?: AbortSignal) {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let end: (() => void) | undefined;
  const ended = new Promise<never>((_, reject) => {
    end = () => reject(signal?.reason);
    signal?.addEventListener("abort", end);
    if (signal?.aborted) end();
  });
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new ProblemError(408, "body_timeout", `Nothing of the body came for ${idleMs} ms.`)),
      idleMs,
    );
  });
  try {
    return await Promise.race([reader.read().catch(failCut), silence, ended]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", end!);
  }
}

function failCut(cause: unknown): never {
  throw cut(cause);
}

function cut(cause?: unknown): ProblemError {
  return new ProblemError(400, "body_cut", "The body ended before it was complete.", { cause });
}

function tooLarge(maxBytes: number): ProblemError {
  return new ProblemError(413, "body_too_large", `The body is larger than ${maxBytes} bytes.`);
}

/** A whole body as one piece. It takes twice its size at the most, however small the chunks are that it comes in. */
export async function gather(body: AsyncIterable<Uint8Array>): Promise<Uint8Array<ArrayBuffer>> {
  let whole = new Uint8Array(1_024);
  let size = 0;
  for await (const chunk of body) {
    const needed = size + chunk.byteLength;
    if (needed > whole.byteLength) {
      const larger = new Uint8Array(Math.max(needed, 2 * whole.byteLength));
      larger.set(whole.subarray(0, size));
      whole = larger;
    }
    whole.set(chunk, size);
    size = needed;
  }
  return whole.subarray(0, size);
}

/** Several chunks as one. */
export function concat(chunks: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(chunks.reduce((size, chunk) => size + chunk.byteLength, 0));
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return whole;
}
