import { ConflictError, MillraceError, NotFoundError } from "../errors.ts";
import { ID_PATTERN, newId } from "../ids.ts";
import { type BlobInfo, type BlobSource, bodyOf, type DirectUpload, type DirectUploads } from "./blob-store.ts";
import type { ObjectKey, Objects } from "./objects.ts";

/** What is kept of an upload until it is complete. */
interface Pending {
  name: string;
  size: number;
  /** In ms since 1970. */
  expiresAt: number;
}

/** What it needs of the store that documents become a part of. */
interface Documents {
  find(tenant: string, id: string): Promise<BlobInfo | undefined>;
  put(id: string, source: BlobSource, body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<BlobInfo>;
}

const HEAD_BYTES = 4_100;
/** For how long after its URL an upload can be completed. */
const GRACE_MS = 3_600_000;
/** How long a process that completes an upload is believed to be at it. */
const COMPLETING_MS = 3_600_000;
/** How many uploads are looked at, when one begins, for those that were never completed. */
const SWEPT = 20;
const MAX_EXPIRES_MS = 7 * 86_400_000;

/**
 * Uploads that go to the store by a URL. What comes in by one is kept apart: it becomes a document by being read and
 * stored once more, so whoever still has the URL can change nothing of the document.
 */
export class DirectObjects implements DirectUploads {
  readonly #objects: Objects;
  readonly #documents: Documents;

  constructor(objects: Objects, documents: Documents) {
    this.#objects = objects;
    this.#documents = documents;
  }

  async begin(
    source: { tenant: string; name: string; size: number },
    expiresInMs: number,
    id = newId(),
  ): Promise<DirectUpload> {
    const { tenant, name, size } = source;
    if (!(expiresInMs >= 1_000 && expiresInMs <= MAX_EXPIRES_MS))
      throw new MillraceError("bad_option", "A URL is good for 1 s to 7 days.");
    if (!(Number.isSafeInteger(size) && size > 0))
      throw new MillraceError("bad_option", "The size of an upload is a whole number of bytes, 1 or more.");
    await this.#sweep(tenant);
    const pending: Pending = { name, size, expiresAt: Date.now() + expiresInMs };
    await this.#objects.mark({ kind: "uploads", tenant, id: "all" }, id);
    await this.#objects.write({ kind: "pending", tenant, id }, bodyOf(JSON.stringify(pending)));
    const given = await this.#objects.presign!(incomingOf(tenant, id), size, expiresInMs);
    return { id, ...given };
  }

  async complete(
    tenant: string,
    id: string,
    typeOf: (head: Uint8Array<ArrayBuffer>, name: string) => Promise<string>,
  ): Promise<BlobInfo> {
    const known = await this.#documents.find(tenant, id);
    if (known !== undefined) return known;
    const pending = await this.#pending(tenant, id);
    if (pending === undefined || pending.expiresAt + GRACE_MS < Date.now()) throw new NotFoundError("upload", id);
    const mine = await this.#claim(tenant, id);
    try {
      // Another may have completed it between the look and the claim.
      return (await this.#documents.find(tenant, id)) ?? (await this.#take(tenant, id, pending, typeOf));
    } finally {
      await this.#objects.unmark({ kind: "completing", tenant, id }, mine);
    }
  }

  async #take(
    tenant: string,
    id: string,
    { name, size }: Pending,
    typeOf: (head: Uint8Array<ArrayBuffer>, name: string) => Promise<string>,
  ): Promise<BlobInfo> {
    const incoming = incomingOf(tenant, id);
    const sent = await this.#objects.size(incoming);
    if (sent === undefined) throw new ConflictError("not_uploaded", "Nothing was uploaded for it yet.");
    if (sent !== size) {
      await this.#forget(tenant, id);
      throw new MillraceError("upload_size", `It was to have ${size} bytes, and has ${sent}.`);
    }
    const body = await this.#objects.read(incoming);
    if (body === undefined) throw new ConflictError("not_uploaded", "Nothing was uploaded for it yet.");
    const reader = new Chunks(body);
    try {
      const head = await reader.peek(HEAD_BYTES);
      let type: string;
      try {
        type = await typeOf(head, name);
      } catch (error) {
        await this.#forget(tenant, id);
        throw error;
      }
      const blob = await this.#documents.put(id, { tenant, name, type }, reader.all(), size);
      await this.#forget(tenant, id);
      return blob;
    } finally {
      await reader.close();
    }
  }

  /** Nobody else completes it at the same time: of two who see each other, neither goes on. */
  async #claim(tenant: string, id: string): Promise<string> {
    const set = { kind: "completing", tenant, id } as const;
    const mine = `${Date.now()}.${newId()}`;
    await this.#objects.mark(set, mine);
    for await (const name of this.#objects.marks(set)) {
      if (name === mine) continue;
      if (Number(name.split(".")[0]) + COMPLETING_MS < Date.now()) await this.#objects.unmark(set, name);
      else {
        await this.#objects.unmark(set, mine);
        throw new ConflictError("upload_busy", "It is being completed just now. Ask again in a moment.");
      }
    }
    return mine;
  }

  /** Removes what was begun long ago and never completed, the oldest first: their ids are in the order of time. */
  async #sweep(tenant: string): Promise<void> {
    let looked = 0;
    for await (const id of this.#objects.marks({ kind: "uploads", tenant, id: "all" })) {
      if (++looked > SWEPT) return;
      const pending = await this.#pending(tenant, id);
      // One without a record is being begun, or was given up while it was.
      const until = pending?.expiresAt ?? timeOf(id);
      if (until + 2 * GRACE_MS < Date.now()) await this.#forget(tenant, id);
    }
  }

  /** What came in last first: by its record it is found again. */
  async #forget(tenant: string, id: string): Promise<void> {
    await this.#objects.remove(incomingOf(tenant, id));
    await this.#objects.remove({ kind: "pending", tenant, id });
    await this.#objects.unmark({ kind: "uploads", tenant, id: "all" }, id);
  }

  async #pending(tenant: string, id: string): Promise<Pending | undefined> {
    if (!ID_PATTERN.test(id)) return undefined;
    const body = await this.#objects.read({ kind: "pending", tenant, id });
    return body === undefined ? undefined : ((await new Response(body).json()) as Pending);
  }
}

function incomingOf(tenant: string, id: string): ObjectKey {
  return { kind: "incoming", tenant, id };
}

/** The time in a UUID of version 7 (RFC 9562), in ms. */
function timeOf(id: string): number {
  return Number.parseInt(id.slice(0, 12), 16);
}

/** The chunks of a stream, of which the first can be looked at before. */
class Chunks {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #first: Uint8Array[] = [];

  constructor(body: ReadableStream<Uint8Array>) {
    this.#reader = body.getReader();
  }

  async peek(bytes: number): Promise<Uint8Array<ArrayBuffer>> {
    const head = new Uint8Array(bytes);
    let size = 0;
    while (size < bytes) {
      const { done, value } = await this.#reader.read();
      if (done) break;
      this.#first.push(value);
      head.set(value.subarray(0, bytes - size), size);
      size += Math.min(value.byteLength, bytes - size);
    }
    return head.subarray(0, size);
  }

  async *all(): AsyncGenerator<Uint8Array, void, undefined> {
    yield* this.#first.splice(0);
    for (;;) {
      const { done, value } = await this.#reader.read();
      if (done) return;
      yield value;
    }
  }

  async close(): Promise<void> {
    await this.#reader.cancel().catch(() => {});
  }
}
