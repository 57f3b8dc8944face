import { createHash } from "node:crypto";
import { MillraceError } from "../errors.ts";

/** Bytes that are counted as they go by: once they all have, `size` and `sha256` are known. */
export interface Counted extends AsyncIterable<Uint8Array> {
  /** So far, in bytes. */
  readonly size: number;
  /** In lower-case hex. To be asked once, at the end. */
  sha256(): string;
}

/**
 * Counts what goes by.
 *
 * @param maxBytes `blob_too_large` is thrown before the chunk that exceeds them is handed on
 */
export function counted(body: AsyncIterable<Uint8Array>, maxBytes = Number.POSITIVE_INFINITY): Counted {
  const hash = createHash("sha256");
  let size = 0;
  return {
    get size() {
      return size;
    },
    sha256: () => hash.digest("hex"),
    async *[Symbol.asyncIterator]() {
      for await (const chunk of body) {
        size += chunk.byteLength;
        if (size > maxBytes) throw new MillraceError("blob_too_large", `More than ${maxBytes} bytes.`);
        hash.update(chunk);
        yield chunk;
      }
    },
  };
}

/**
 * The same bytes in parts of `bytes` each, the last one shorter. At least one part comes, if an empty one. A part is the
 * reader's own.
 */
export async function* inParts(
  body: AsyncIterable<Uint8Array>,
  bytes: number,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
  // Grown as needed: most of what is stored is far smaller than a part.
  let part = new Uint8Array(Math.min(bytes, 65_536));
  let used = 0;
  let any = false;
  for await (const chunk of body)
    for (let from = 0; from < chunk.byteLength; ) {
      const taken = chunk.subarray(from, from + bytes - used);
      if (used + taken.byteLength > part.byteLength) part = grown(part, used, used + taken.byteLength, bytes);
      part.set(taken, used);
      used += taken.byteLength;
      from += taken.byteLength;
      if (used < bytes) continue;
      yield part;
      any = true;
      part = new Uint8Array(bytes);
      used = 0;
    }
  if (used > 0 || !any) yield part.subarray(0, used);
}

function grown(part: Uint8Array<ArrayBuffer>, used: number, needed: number, max: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(Math.min(max, Math.max(needed, 2 * part.byteLength)));
  larger.set(part.subarray(0, used));
  return larger;
}
