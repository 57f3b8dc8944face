import type { BlobStore } from "../blobs/blob-store.ts";
import { noBlobs } from "../blobs/no-blobs.ts";
import { hexDigest } from "../digest.ts";
import { ConflictError, NotFoundError } from "../errors.ts";
import { ID_PATTERN, newId } from "../ids.ts";
import { logger } from "../log.ts";
import { ENDED_MS, type UploadRecord, type UploadStore } from "../store/upload-store.ts";
import { Reply } from "../store.ts";
import type { Continuations } from "../timers.ts";
import { busy, gone, Held, LEASE_MS, viewOf } from "./held.ts";
import type { CreateUpload, HeldUpload, HoldUpload, UploadsApi, UploadView } from "./types.ts";

const log = logger("uploads");

/** How long one waits for another to let go: more than a lease, so that a dead one is outlived. */
const WAIT_MS = 10_000;
/** The same while a document is made: that is not broken off. */
const WAIT_FOR_DOCUMENT_MS = 25_000;
const LOOK_EVERY_MS = 100;

/** Documents that come in parts. */
export class Uploads implements UploadsApi {
  readonly #store: UploadStore;
  readonly #blobs: BlobStore;

  constructor(store: UploadStore, blobs: BlobStore) {
    this.#store = store;
    this.#blobs = blobs;
  }

  async create({ tenant, length, metadata, keptMs, most, key }: CreateUpload) {
    const id = key === undefined ? newId() : (await hexDigest("SHA-256", `${tenant}\n${key}`)).slice(0, 32);
    const digest = key === undefined ? "" : await hexDigest("SHA-256", `${length ?? ""}\n${metadata}`);
    const created = await this.#store.create({ tenant, id }, { length, metadata, digest }, { keptMs, most });
    return { view: await this.get(tenant, id), created };
  }

  async get(tenant: string, id: string): Promise<UploadView> {
    return viewOf({ tenant, id }, (await this.#look(tenant, id)).upload);
  }

  async hold(tenant: string, id: string, { keptMs, ...at }: HoldUpload): Promise<HeldUpload | UploadView> {
    const which = { tenant, id: checked(id) };
    const token = newId();
    for (const since = performance.now(); ; ) {
      const held = await this.#store.hold(which, "take", token, LEASE_MS, at);
      if (held === undefined) throw new NotFoundError("upload", id);
      const { reply, upload } = held;
      if (reply === Reply.Done)
        return new Held({ store: this.#store, blobs: this.#blobs, keptMs }, which, token, upload);
      if (reply === Reply.Already) return viewOf(which, upload);
      if (reply === Reply.RunEnded) throw gone(id);
      if (reply === Reply.Stale) throw elsewhere(upload, at);
      const waitMs = upload.offset === upload.length ? WAIT_FOR_DOCUMENT_MS : WAIT_MS;
      if (performance.now() - since > waitMs) throw busy();
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
  }

  async noteRun(tenant: string, id: string, run: string): Promise<void> {
    await this.#store.noteRun({ tenant, id: checked(id) }, run);
  }

  async delete(tenant: string, id: string): Promise<void> {
    await this.#look(tenant, id);
    await this.#store.end({ tenant, id }, "wish");
    try {
      await this.#blobs.deleteOf(tenant, id);
    } catch (error) {
      log.warn("the parts of the deleted upload {id} are left to a worker: {error}", { id, error });
    }
  }

  /** Collects what has expired, or has ended, with all that was put for it. A worker without a blob store leaves it to others. */
  readonly goOn: Continuations["upload"] = async (which) => {
    if (this.#blobs === noBlobs) return ENDED_MS;
    const end = await this.#store.end(which, "expiry");
    if (end === undefined || end.ended || end.state === "complete") await this.#blobs.deleteOf(which.tenant, which.id);
    if (end === undefined) return undefined;
    if (!end.ended || end.inMs > 0) return end.inMs;
    await this.#store.forget(which);
    return undefined;
  };

  async #look(tenant: string, id: string): Promise<{ upload: UploadRecord }> {
    const found = await this.#store.hold({ tenant, id: checked(id) }, "look", "", 0);
    if (found === undefined) throw new NotFoundError("upload", id);
    if (found.reply === Reply.RunEnded) throw gone(id);
    return found;
  }
}

/** @throws NotFoundError for one with odd characters: nothing can have it */
function checked(id: string): string {
  if (!ID_PATTERN.test(id)) throw new NotFoundError("upload", id.slice(0, 64));
  return id;
}

function elsewhere({ offset, length }: UploadRecord, said: { offset?: number; length?: number }): ConflictError {
  if (said.length !== undefined && length !== undefined && said.length !== length)
    return new ConflictError("upload_length", `The upload's length is ${length} bytes, as was said before.`);
  return new ConflictError("upload_offset", `The upload is at ${offset}.`);
}
