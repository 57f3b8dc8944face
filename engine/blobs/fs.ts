import { createHash, randomBytes } from "node:crypto";
import { type FileHandle, mkdir, open, opendir, readFile, rename, rm, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { MillraceError, NotFoundError } from "../errors.ts";
import { ID_PATTERN, newId } from "../ids.ts";
import type { BlobInfo, BlobSource, BlobStore } from "./blob-store.ts";

/**
 * Blobs as files: `DIR/TENANT/ab/ID` holds the bytes and `ID.json` beside it what is known of them. The second is
 * written last and by rename, so a blob exists from one instant to the next. For one machine, or a shared volume.
 *
 * What belongs to a run has an empty file `DIR/TENANT/runs/ab/RUN/ID`, which is there before the blob is. Where a blob
 * belongs to several runs, the directory `ID.runs` beside it has an empty file for each: the one that removes the
 * directory is the last of them.
 */
export class FsBlobStore implements BlobStore {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
  }

  async put(
    source: BlobSource,
    body: AsyncIterable<Uint8Array>,
    options: { maxBytes?: number } = {},
  ): Promise<BlobInfo> {
    const maxBytes = options.maxBytes ?? Number.POSITIVE_INFINITY;
    const id = newId();
    const path = this.#path(source.tenant, id);
    await mkdir(join(path, ".."), { recursive: true });
    if (source.run !== undefined) await this.#mark(source.tenant, source.run, id);
    const hash = createHash("sha256");
    let size = 0;
    const file = await open(path, "wx");
    try {
      for await (const chunk of body) {
        size += chunk.byteLength;
        if (size > maxBytes) throw new MillraceError("blob_too_large", `More than ${maxBytes} bytes.`);
        hash.update(chunk);
        await file.writeFile(chunk);
      }
      await file.sync();
      await file.close();
      const blob: BlobInfo = { ...source, id, size, sha256: hash.digest("hex"), createdAt: new Date().toISOString() };
      await writeWhole(`${path}.json`, JSON.stringify(blob));
      return blob;
    } catch (error) {
      await file.close().catch(ignoreClosed);
      await rm(path, { force: true });
      throw error;
    }
  }

  async find(tenant: string, id: string): Promise<BlobInfo | undefined> {
    if (!ID_PATTERN.test(id)) return undefined;
    try {
      return JSON.parse(await readFile(`${this.#path(tenant, id)}.json`, "utf8")) as BlobInfo;
    } catch (error) {
      if ((error as { code?: string }).code === "ENOENT") return undefined;
      throw error;
    }
  }

  async open(tenant: string, id: string): Promise<{ blob: BlobInfo; body: ReadableStream<Uint8Array> }> {
    const blob = await this.find(tenant, id);
    if (blob === undefined) throw new NotFoundError("document", id);
    return { blob, body: streamOf(await open(this.#path(tenant, id))) };
  }

  async delete(tenant: string, id: string): Promise<void> {
    if (!ID_PATTERN.test(id)) return;
    const path = this.#path(tenant, id);
    const run = (await this.find(tenant, id))?.run;
    await rm(`${path}.json`, { force: true });
    await rm(path, { force: true });
    if (run !== undefined) await rm(join(this.#runPath(tenant, run), id), { force: true });
  }

  async share(tenant: string, from: string, to: string): Promise<void> {
    for await (const id of namesIn(this.#runPath(tenant, from))) {
      const owners = `${this.#path(tenant, id)}.runs`;
      await mkdir(owners, { recursive: true });
      for (const run of [from, to]) await writeFile(join(owners, run), "");
      await this.#mark(tenant, to, id);
    }
  }

  async deleteOf(tenant: string, run: string): Promise<void> {
    const dir = this.#runPath(tenant, run);
    for await (const id of namesIn(dir)) {
      if (await isLastOwner(`${this.#path(tenant, id)}.runs`, run)) await this.delete(tenant, id);
      await rm(join(dir, id), { force: true });
    }
    await rm(dir, { recursive: true, force: true });
  }

  async #mark(tenant: string, run: string, id: string): Promise<void> {
    const dir = this.#runPath(tenant, run);
    await mkdir(dir, { recursive: true });
    await writeFile(join(dir, id), "");
  }

  #runPath(tenant: string, run: string): string {
    if (!ID_PATTERN.test(run)) throw new MillraceError("bad_run", "A run's id is 1 to 64 of A-Z a-z 0-9 _ -");
    // The last random characters of a run's id are before its partition.
    return join(this.#tenantPath(tenant), "runs", run.slice(30, 32), run);
  }

  /** Ids are time-ordered, so their last characters spread them over folders. */
  #path(tenant: string, id: string): string {
    return join(this.#tenantPath(tenant), id.slice(-2), id);
  }

  #tenantPath(tenant: string): string {
    if (!ID_PATTERN.test(tenant))
      throw new MillraceError("bad_tenant", "A tenant's name is 1 to 64 of A-Z a-z 0-9 _ -");
    return join(this.#dir, tenant);
  }
}

/** The bytes of an open file, 64 KB at a time as they are asked for. Closes it at the end or when the reader leaves. */
function streamOf(file: FileHandle): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { bytesRead, buffer } = await file.read(new Uint8Array(65_536));
      if (bytesRead > 0) return controller.enqueue(buffer.subarray(0, bytesRead));
      await file.close();
      controller.close();
    },
    cancel: () => file.close(),
  });
}

/** The names in a directory, one at a time; none if there is no such directory. */
async function* namesIn(dir: string): AsyncGenerator<string> {
  try {
    for await (const entry of await opendir(dir)) if (ID_PATTERN.test(entry.name)) yield entry.name;
  } catch (error) {
    if ((error as { code?: string }).code !== "ENOENT") throw error;
  }
}

/** Takes a run off the owners of a blob. True if it was the last, or the only one there ever was. */
async function isLastOwner(owners: string, run: string): Promise<boolean> {
  await rm(join(owners, run), { force: true });
  try {
    await rmdir(owners);
    return true;
  } catch (error) {
    const code = (error as { code?: string }).code;
    if (code === "ENOENT") return true;
    if (code === "ENOTEMPTY" || code === "EEXIST") return false;
    throw error;
  }
}

async function writeWhole(path: string, text: string): Promise<void> {
  const part = `${path}.${randomBytes(4).toString("hex")}.part`;
  const file = await open(part, "wx");
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(part, path);
}

function ignoreClosed(error: { code?: string }): void {
  if (error.code !== "EBADF") throw error;
}
