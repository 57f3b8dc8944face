/** What is known of a stored blob. */
export interface BlobInfo {
  /** Ours, never a client's: `A-Z a-z 0-9 _ -`. */
  id: string;
  tenant: string;
  /** The name that it came with, for people. Never part of a path. */
  name: string;
  /** Its media type. */
  type: string;
  /** In bytes. */
  size: number;
  /** Of its bytes, in lower-case hex. */
  sha256: string;
  createdAt: string;
}

export interface BlobSource {
  tenant: string;
  name: string;
  type: string;
}

/**
 * Where documents and large outputs live. Writing streams: no driver holds a whole blob in memory.
 * A blob can be read once `put` has resolved, and never before; one whose `put` failed leaves nothing behind.
 */
export interface BlobStore {
  /**
   * Stores the bytes of `body`.
   *
   * @throws what `body` throws; MillraceError `blob_too_large` past `maxBytes` (nothing is kept then)
   */
  put(source: BlobSource, body: AsyncIterable<Uint8Array>, options?: { maxBytes?: number }): Promise<BlobInfo>;
  /** What is known of a blob; undefined if there is none of that id for this tenant. */
  find(tenant: string, id: string): Promise<BlobInfo | undefined>;
  /** @throws NotFoundError */
  open(tenant: string, id: string): Promise<{ blob: BlobInfo; body: ReadableStream<Uint8Array> }>;
  /** Idempotent. */
  delete(tenant: string, id: string): Promise<void>;
}

/** A whole blob in memory, for those that are known to be small enough. @throws NotFoundError */
export async function readBlob(store: BlobStore, tenant: string, id: string): Promise<Uint8Array<ArrayBuffer>> {
  const { body } = await store.open(tenant, id);
  return new Uint8Array(await new Response(body).arrayBuffer());
}

/** A text or bytes at hand as a body to `put`. */
export async function* bodyOf(content: string | Uint8Array): AsyncGenerator<Uint8Array> {
  yield typeof content === "string" ? new TextEncoder().encode(content) : content;
}
