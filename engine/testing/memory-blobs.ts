import { createHash } from "node:crypto";
import { type BlobInfo, type BlobSource, type BlobStore, type ByteRange, checkRange } from "../blobs/blob-store.ts";
import { MillraceError, NotFoundError } from "../errors.ts";
import { newId } from "../ids.ts";

/** Blobs in memory, for as long as a test goes on. */
export class MemoryBlobs implements BlobStore {
  readonly #blobs = new Map<string, { blob: BlobInfo; bytes: Uint8Array<ArrayBuffer>; runs: Set<string> }>();

  async put(source: BlobSource, body: AsyncIterable<Uint8Array>, options: { maxBytes?: number } = {}) {
    const { maxBytes = Number.POSITIVE_INFINITY } = options;
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of body) {
      size += chunk.byteLength;
      if (size > maxBytes) throw new MillraceError("blob_too_large", `More than ${maxBytes} bytes.`);
      chunks.push(chunk);
    }
    const bytes = new Uint8Array(Buffer.concat(chunks));
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    const blob: BlobInfo = { ...source, id: newId(), size, sha256, createdAt: new Date().toISOString() };
    const runs = new Set(source.run === undefined ? [] : [source.run]);
    this.#blobs.set(keyOf(source.tenant, blob.id), { blob, bytes, runs });
    return blob;
  }

  async find(tenant: string, id: string) {
    return this.#blobs.get(keyOf(tenant, id))?.blob;
  }

  async open(tenant: string, id: string, { range }: { range?: ByteRange | undefined } = {}) {
    const found = this.#blobs.get(keyOf(tenant, id));
    if (found === undefined) throw new NotFoundError("document", id);
    const { blob, bytes } = found;
    if (range !== undefined) checkRange(blob, range);
    const wanted = range === undefined ? bytes : bytes.subarray(range.offset, range.offset + range.length);
    return { blob, body: new Blob([wanted]).stream() };
  }

  async delete(tenant: string, id: string) {
    this.#blobs.delete(keyOf(tenant, id));
  }

  async share(tenant: string, from: string, to: string) {
    for (const { blob, runs } of this.#blobs.values()) if (blob.tenant === tenant && runs.has(from)) runs.add(to);
  }

  async deleteOf(tenant: string, run: string) {
    for (const { blob, runs } of this.#blobs.values())
      if (blob.tenant === tenant && runs.delete(run) && runs.size === 0) await this.delete(tenant, blob.id);
  }
}

const keyOf = (tenant: string, id: string) => `${tenant}/${id}`;
