import { MillraceError, NotFoundError } from "../errors.ts";
import { ID_PATTERN, newId } from "../ids.ts";
import {
  type BlobInfo,
  type BlobSource,
  type BlobStore,
  type ByteRange,
  bodyOf,
  checkRange,
  type DirectUploads,
  type OpenedBlob,
} from "./blob-store.ts";
import { counted } from "./counted.ts";
import { DirectObjects } from "./direct-objects.ts";
import type { ObjectKey, Objects } from "./objects.ts";
import { SharedContents } from "./shared-contents.ts";

/** A record as it is stored: of a document, with the content that it refers to. */
interface StoredRecord {
  blob: BlobInfo;
  content: string;
}

/**
 * Blobs in a service that keeps objects. Each has a record, which is written last and removed last: a blob exists from one
 * instant to the next, and a delete that was cut is finished by the next one. Documents with the same bytes share their
 * content (see `SharedContents`); what belongs to a run has its own, and a name in the run's set from before it is there.
 */
export class ObjectBlobStore implements BlobStore {
  readonly #objects: Objects;
  readonly #shared: SharedContents;
  readonly #maxBytes: number;
  readonly direct?: DirectUploads;

  /** @param limits.maxBytes of one blob, whoever puts it */
  constructor(objects: Objects, limits: { maxBytes?: number | undefined } = {}) {
    this.#objects = objects;
    this.#shared = new SharedContents(objects);
    this.#maxBytes = limits.maxBytes ?? Number.POSITIVE_INFINITY;
    if (objects.presign === undefined) return;
    this.direct = new DirectObjects(objects, {
      find: (tenant, id) => this.find(tenant, id),
      put: (id, source, body, size) => this.#put(id, source, body, size),
    });
  }

  put(source: BlobSource, body: AsyncIterable<Uint8Array>, options: { maxBytes?: number } = {}): Promise<BlobInfo> {
    return this.#put(newId(), source, body, options.maxBytes);
  }

  async #put(id: string, source: BlobSource, body: AsyncIterable<Uint8Array>, maxBytes = Number.POSITIVE_INFINITY) {
    const { tenant, run } = source;
    check("tenant", tenant);
    if (run !== undefined) check("run", run);
    // Not the blob's: an upload may be completed again, and no content is to have a name that another had.
    const own = newId();
    const ofRun = { set: { kind: "run", tenant, id: run ?? "" }, name: `${id}.${own}` } as const;
    if (run !== undefined) await this.#objects.mark(ofRun.set, ofRun.name);
    try {
      const bytes = counted(body, Math.min(maxBytes, this.#maxBytes));
      await this.#objects.write(contentOf(tenant, own), bytes);
      const about = { ...source, id, size: bytes.size, sha256: bytes.sha256() };
      return await this.#record({ ...about, createdAt: new Date().toISOString() }, own);
    } catch (error) {
      // Where that fails too, it is a name of nothing.
      if (run !== undefined) await this.#objects.unmark(ofRun.set, ofRun.name).catch(() => {});
      throw error;
    }
  }

  /** Makes a blob of a content that was written. */
  async #record(blob: BlobInfo, own: string): Promise<BlobInfo> {
    const { tenant, id, run, sha256 } = blob;
    let content = own;
    try {
      if (run === undefined) content = await this.#shared.join(tenant, sha256, own, id);
      const record: StoredRecord = { blob, content };
      await this.#objects.write({ kind: "record", tenant, id }, bodyOf(JSON.stringify(record)));
      return blob;
    } catch (error) {
      // What cannot be removed now belongs to nobody who can see it.
      if (run === undefined) await this.#shared.leave(tenant, sha256, content, id).catch(() => {});
      if (content === own) await this.#objects.remove(contentOf(tenant, own)).catch(() => {});
      throw error;
    }
  }

  async find(tenant: string, id: string): Promise<BlobInfo | undefined> {
    return (await this.#stored(tenant, id))?.blob;
  }

  async open(tenant: string, id: string, { range }: { range?: ByteRange | undefined } = {}): Promise<OpenedBlob> {
    const record = await this.#stored(tenant, id);
    if (record === undefined) throw new NotFoundError("document", id);
    const { blob, content } = record;
    if (range !== undefined) checkRange(blob, range);
    const body = await this.#objects.read(contentOf(tenant, content), range);
    if (body === undefined) throw new NotFoundError("document", id);
    return { blob, body };
  }

  async delete(tenant: string, id: string): Promise<void> {
    const record = await this.#stored(tenant, id);
    if (record !== undefined) await this.#remove(tenant, record);
  }

  async share(tenant: string, from: string, to: string): Promise<void> {
    check("run", to);
    for await (const name of this.#objects.marks({ kind: "run", tenant, id: from })) {
      const owners = { kind: "owners", tenant, id: partsOf(name).id } as const;
      for (const run of [from, to]) await this.#objects.mark(owners, run);
      await this.#objects.mark({ kind: "run", tenant, id: to }, name);
    }
  }

  async deleteOf(tenant: string, run: string): Promise<void> {
    const ofRun = { kind: "run", tenant, id: run } as const;
    for await (const name of this.#objects.marks(ofRun)) {
      const { id, content } = partsOf(name);
      const owners = { kind: "owners", tenant, id } as const;
      await this.#objects.unmark(owners, run);
      if (!(await this.#any(owners))) {
        // Of a put that was cut there may be bytes without a record.
        await this.#objects.remove(contentOf(tenant, content));
        await this.#objects.remove({ kind: "record", tenant, id });
      }
      await this.#objects.unmark(ofRun, name);
    }
  }

  async #remove(tenant: string, { blob: { id, run, sha256 }, content }: StoredRecord): Promise<void> {
    if (run === undefined) await this.#shared.leave(tenant, sha256, content, id);
    else {
      await this.#objects.remove(contentOf(tenant, content));
      for (const owner of new Set([run, ...(await this.#all({ kind: "owners", tenant, id }))])) {
        await this.#objects.unmark({ kind: "run", tenant, id: owner }, `${id}.${content}`);
        await this.#objects.unmark({ kind: "owners", tenant, id }, owner);
      }
    }
    await this.#objects.remove({ kind: "record", tenant, id });
  }

  async #stored(tenant: string, id: string): Promise<StoredRecord | undefined> {
    check("tenant", tenant);
    if (!ID_PATTERN.test(id)) return undefined;
    const body = await this.#objects.read({ kind: "record", tenant, id });
    return body === undefined ? undefined : ((await new Response(body).json()) as StoredRecord);
  }

  async #any(set: Parameters<Objects["marks"]>[0]): Promise<boolean> {
    for await (const _ of this.#objects.marks(set)) return true;
    return false;
  }

  async #all(set: Parameters<Objects["marks"]>[0]): Promise<string[]> {
    const names: string[] = [];
    for await (const name of this.#objects.marks(set)) names.push(name);
    return names;
  }
}

function contentOf(tenant: string, id: string): ObjectKey {
  return { kind: "content", tenant, id };
}

/** A run's set names blobs with their contents. */
function partsOf(name: string): { id: string; content: string } {
  const [id = "", content = ""] = name.split(".");
  return { id, content };
}

/** They are parts of paths. @throws MillraceError `bad_tenant`, `bad_run` */
function check(what: "tenant" | "run", name: string): void {
  if (!ID_PATTERN.test(name))
    throw new MillraceError(`bad_${what}`, `The name of a ${what} is 1 to 64 of A-Z a-z 0-9 _ -`);
}
