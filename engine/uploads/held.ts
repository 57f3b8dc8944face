import type { BlobStore } from "../blobs/blob-store.ts";
import { ConflictError, NotFoundError } from "../errors.ts";
import { logger } from "../log.ts";
import { Loop } from "../service.ts";
import type { UploadName, UploadPart, UploadRecord, UploadStore } from "../store/upload-store.ts";
import { Reply } from "../store.ts";
import { Pieces } from "./parts.ts";
import type { HeldUpload, UploadedDocument, UploadView } from "./types.ts";

const log = logger("uploads");

/** How long an upload stays with a request whose process says nothing. */
export const LEASE_MS = 5_000;
/** How often a request says that it holds it, and hears whether another asks for it. */
const KEEP_EVERY_MS = 1_000;
/** A part has so many bytes at the most: a process that dies loses no more than that. */
const PART_BYTES = 33_554_432;
/** So many parts at the end that are smaller than this become one. */
const JOINED = 32;
const SMALL_BYTES = 8_388_608;
const MOST_PARTS = 10_000;

/** Where the parts of an upload are, and how their blobs are named. */
export interface HeldParts {
  store: UploadStore;
  blobs: BlobStore;
  keptMs: number;
}

/** An upload in the hands of one request. */
export class Held implements HeldUpload {
  readonly #parts: HeldParts;
  readonly #which: UploadName;
  readonly #token: string;
  readonly #taken = new AbortController();
  readonly #keeping = new Loop("upload", KEEP_EVERY_MS, () => this.#keep());
  #upload: UploadRecord;
  #released = false;

  constructor(parts: HeldParts, which: UploadName, token: string, upload: UploadRecord) {
    this.#parts = parts;
    this.#which = which;
    this.#token = token;
    this.#upload = upload;
    this.#keeping.start(KEEP_EVERY_MS);
  }

  get view(): UploadView {
    return viewOf(this.#which, this.#upload);
  }

  get signal(): AbortSignal {
    return this.#taken.signal;
  }

  async append(body: AsyncIterable<Uint8Array>, isWhole?: () => boolean): Promise<void> {
    const pieces = new Pieces(body);
    const most = isWhole === undefined ? PART_BYTES : Number.POSITIVE_INFINITY;
    if (!(await pieces.more()) && pieces.failure === undefined && isWhole?.() === false) throw mismatch();
    while (await pieces.more()) {
      if (this.#upload.parts >= MOST_PARTS)
        throw new ConflictError("too_many_parts", `The upload has ${MOST_PARTS} parts: begin anew with larger ones.`);
      const part = await this.#put(pieces.take(most));
      if (isWhole !== undefined && (pieces.failure !== undefined || !isWhole())) {
        await this.#parts.blobs.delete(this.#which.tenant, part.blob);
        if (pieces.failure === undefined) throw mismatch();
        break;
      }
      await this.#count(part, this.#upload.parts);
      if (part.size < SMALL_BYTES) await this.#joinSmall();
    }
    if (pieces.failure !== undefined) throw pieces.failure.error;
  }

  content(): AsyncGenerator<Uint8Array> {
    return this.#content(0, this.#upload.parts);
  }

  async complete(document: UploadedDocument): Promise<void> {
    const { store, blobs, keptMs } = this.#parts;
    const json = JSON.stringify(document);
    if (!(await store.complete(this.#which, this.#token, json, keptMs))) throw busy();
    this.#upload = { ...this.#upload, state: "complete", document: json };
    this.#released = true;
    await this.#keeping.stop();
    try {
      await blobs.deleteOf(this.#which.tenant, this.#which.id);
    } catch (error) {
      log.warn("the parts of upload {id} are left to a worker: {error}", { id: this.#which.id, error });
    }
  }

  async release(): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    await this.#keeping.stop();
    try {
      await this.#parts.store.release(this.#which, this.#token);
    } catch (error) {
      log.info("upload {id} is let go of when its lease is over: {error}", { id: this.#which.id, error });
    }
  }

  /** Its blobs belong to the upload as those of a run do to that: whatever was put goes with it, counted or not. */
  async #put(body: AsyncIterable<Uint8Array>): Promise<UploadPart> {
    const { tenant, id } = this.#which;
    const source = { tenant, run: id, name: "part", type: "application/offset+octet-stream" };
    const { id: blob, size } = await this.#parts.blobs.put(source, body);
    return { blob, size };
  }

  async #count(part: UploadPart, stay: number): Promise<void> {
    const { store, blobs, keptMs } = this.#parts;
    const { parts } = this.#upload;
    const counted = await store.putPart(this.#which, this.#token, { ...part, parts, stay, keptMs });
    if (counted === undefined) {
      await blobs.delete(this.#which.tenant, part.blob);
      throw busy();
    }
    this.#upload = { ...this.#upload, ...counted, parts: stay + 1 };
  }

  /** Makes one part of the last ones if they are small, so that there are never many of those. */
  async #joinSmall(): Promise<void> {
    const { parts } = this.#upload;
    const stay = parts - JOINED;
    if (stay < 0) return;
    const last = await this.#parts.store.parts(this.#which, stay, parts);
    if (last.some(({ size }) => size >= SMALL_BYTES)) return;
    await this.#count(await this.#put(this.#content(stay, parts)), stay);
    try {
      for (const { blob } of last) await this.#parts.blobs.delete(this.#which.tenant, blob);
    } catch (error) {
      log.warn("parts of upload {id} stay until its end: {error}", { id: this.#which.id, error });
    }
  }

  async *#content(from: number, to: number): AsyncGenerator<Uint8Array> {
    for (const { blob } of await this.#parts.store.parts(this.#which, from, to)) {
      try {
        const { body } = await this.#parts.blobs.open(this.#which.tenant, blob);
        yield* body;
      } catch (error) {
        if (error instanceof NotFoundError) throw gone(this.#which.id, "A part of it is lost.");
        throw error;
      }
    }
  }

  async #keep(): Promise<undefined> {
    const held = await this.#parts.store.hold(this.#which, "keep", this.#token, LEASE_MS);
    if (held?.reply !== Reply.Done || held.isWanted) this.#taken.abort(busy());
  }
}

export function viewOf({ tenant, id }: UploadName, upload: UploadRecord): UploadView {
  const { state, offset, length, metadata, expiresAt, document, run } = upload;
  return {
    ...{ id, tenant, status: state === "complete" ? "complete" : "open", offset, length, metadata, expiresAt },
    ...(document === undefined ? {} : { document: JSON.parse(document) as UploadedDocument }),
    ...(run === undefined ? {} : { run }),
  };
}

export function busy(): ConflictError {
  return new ConflictError("upload_busy", "Another request has this upload in its hands. Try again.");
}

export function gone(id: string, why = "It was deleted, or has expired."): ConflictError {
  return new ConflictError("upload_gone", `The upload ${id} is gone. ${why}`);
}

function mismatch(): ConflictError {
  return new ConflictError("checksum_mismatch", "What came has another checksum than was said; none of it counts.");
}
