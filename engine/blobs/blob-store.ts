import { MillraceError } from "../errors.ts";

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

/** Whose a blob is, and what it is called. */
export interface BlobSource {
  tenant: string;
  name: string;
  type: string;
  run?: string;
}

/** Some of a blob's bytes: `length` of them, at least 1, from `offset` on, and within its size. */
export interface ByteRange {
  offset: number;
  length: number;
}

/** A blob with its bytes, which are to be read or cancelled. */
export interface OpenedBlob {
  blob: BlobInfo;
  body: ReadableStream<Uint8Array>;
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
  /**
   * Its bytes, or those of `range`, as they are asked for. Who does not read them to the end cancels the stream.
   *
   * @throws NotFoundError; MillraceError `bad_range` for one that is not within the blob
   */
  open(tenant: string, id: string, options?: { range?: ByteRange | undefined }): Promise<OpenedBlob>;
  /** Idempotent. */
  delete(tenant: string, id: string): Promise<void>;
  /** Has what belongs to the run `from` belong to the run `to` as well: it stays until both are gone. Idempotent. */
  share(tenant: string, from: string, to: string): Promise<void>;
  /** Deletes what belongs to a run and to no other. Idempotent. */
  deleteOf(tenant: string, run: string): Promise<void>;
  /** Uploads that go past the gateway. Absent where the store cannot let others write into it. */
  readonly direct?: DirectUploads;
}

/** What somebody may do once, until then: send the bytes in the body of this request, with these headers. */
export interface DirectUpload {
  id: string;
  url: string;
  method: "PUT";
  headers: Record<string, string>;
  expiresAt: string;
}

/** Documents that their owner sends to the store itself, by a URL that is good for that alone. */
export interface DirectUploads {
  /**
   * Gives a new document's id and where its bytes are to be sent. There is no document before `complete`.
   *
   * @param source.size of what will be sent, in bytes
   * @param expiresInMs at least a second, at most 7 days
   * @param id 32 of `0-9 a-f` as a draw has them, if it is to be the same upload another time
   */
  begin(
    source: { tenant: string; name: string; size: number },
    expiresInMs: number,
    id?: string,
  ): Promise<DirectUpload>;
  /**
   * Reads what was sent once, and makes a document of it; repeated, gives that document. What was sent is gone
   * afterwards, also when it is refused.
   *
   * @param typeOf its media type, by its name and first bytes (4,100 of them if there are as many); what it throws refuses it
   * @throws NotFoundError for an id that was not given, or has expired; ConflictError `not_uploaded`, `upload_busy` if
   *   it is being completed just now; MillraceError `upload_size` if it has another size than was said; as `put`
   */
  complete(
    tenant: string,
    id: string,
    typeOf: (head: Uint8Array<ArrayBuffer>, name: string) => Promise<string>,
  ): Promise<BlobInfo>;
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

  open(tenant: string, id: string, options?: { range?: ByteRange | undefined }): Promise<OpenedBlob> {
    return this.#store.open(tenant, id, options);
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

/** @throws MillraceError `bad_range` */
export function checkRange({ id, size }: BlobInfo, { offset, length }: ByteRange): void {
  const whole = Number.isSafeInteger(offset) && Number.isSafeInteger(length);
  if (whole && offset >= 0 && length >= 1 && offset + length <= size) return;
  throw new MillraceError("bad_range", `Of ${id}, which has ${size} bytes, there are no ${length} from ${offset} on.`);
}

/** A text or bytes at hand as a body to `put`. */
export async function* bodyOf(content: string | Uint8Array): AsyncGenerator<Uint8Array> {
  yield typeof content === "string" ? new TextEncoder().encode(content) : content;
}
