import { ProblemError } from "../problem.ts";

const BYTES: Record<string, number> = { sha1: 20, sha256: 32 };

/** A checksum that what comes must have. */
export interface Checksum {
  /** The body as it passes by, seen by the checksum. */
  over(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array>;
  /** Whether what has passed by has it. */
  holds(): boolean;
}

/**
 * What `Upload-Checksum` says: `ALGORITHM BASE64`.
 *
 * @throws ProblemError 400 for another algorithm, or what cannot be a digest of it
 */
export async function checksumOf(header: string | undefined): Promise<Checksum | undefined> {
  if (header === undefined) return undefined;
  const [, name = "", base64 = ""] = /^(\S+) ([A-Za-z0-9+/]+={0,2})$/.exec(header) ?? [];
  const bytes = Object.hasOwn(BYTES, name) ? BYTES[name] : undefined;
  if (bytes === undefined || base64.length !== 4 * Math.ceil(bytes / 3))
    throw new ProblemError(
      400,
      "upload_checksum",
      "Upload-Checksum is sha1 or sha256, a space and the digest in Base64.",
    );
  // crypto.subtle wants all of it at once, and a body has no bound but that of a document.
  const { createHash } = await import("node:crypto");
  const hash = createHash(name);
  return {
    async *over(body) {
      for await (const chunk of body) {
        hash.update(chunk);
        yield chunk;
      }
    },
    holds: () => hash.digest("base64") === base64,
  };
}
