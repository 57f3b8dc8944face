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
  /** The run that it belongs to, and goes with; absent for a document that somebody uploaded. */
  run?: string;
}

export interface BlobSource {
  tenant: string;
  name: string;
  type: string;
  run?: string;
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
  /** Has what belongs to the run `from` belong to the run `to` as well: it stays until both are gone. Idempotent. */
  share(tenant: string, from: string, to: string): Promise<void>;
  /** Deletes what belongs to a run and to no other. Idempotent. */
  deleteOf(tenant: string, run: string): Promise<void>;
}

/** A store in which whatever is put belongs to a run. */
export class OwnedBlobs implements BlobStore {
  readonly #store: BlobStore;
  readonly #run: string;

  constructor(store: BlobStore, run: string) {
    this.#store = store;
    this.#run = run;
  }

  put(source: BlobSource, body: AsyncIterable<Uint8Array>, options?: { maxBytes?: number }): Promise<BlobInfo> {
    return this.#store.put({ ...source, run: this.#run }, body, options);
  }

  find(tenant: string, id: string): Promise<BlobInfo | undefined> {
    return this.#store.find(tenant, id);
  }

  open(tenant: string, id: string): Promise<{ blob: BlobInfo; body: ReadableStream<Uint8Array> }> {
    return this.#store.open(tenant, id);
  }

  delete(tenant: string, id: string): Promise<void> {
    return this.#store.delete(tenant, id);
  }

  share(tenant: string, from: string, to: string): Promise<void> {
    return this.#store.share(tenant, from, to);
  }

  deleteOf(tenant: string, run: string): Promise<void> {
    return this.#store.deleteOf(tenant, run);
  }
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
