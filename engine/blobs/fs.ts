import { randomBytes } from "node:crypto";
import {
  type FileHandle,
  link,
  mkdir,
  open,
  opendir,
  readFile,
  rename,
  rm,
  rmdir,
  stat,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { MillraceError, NotFoundError } from "../errors.ts";
import { ID_PATTERN, newId } from "../ids.ts";
import {
  type BlobInfo,
  type BlobSource,
  type BlobStore,
  type ByteRange,
  checkRange,
  type OpenedBlob,
} from "./blob-store.ts";
import { counted } from "./counted.ts";

/**
 * Blobs as files: `DIR/TENANT/ab/ID` holds the bytes and `ID.json` beside it what is known of them. The second is
 * written last and by rename, so a blob exists from one instant to the next. For one machine, or a shared volume.
 *
 * What belongs to a run has an empty file `DIR/TENANT/runs/ab/RUN/ID`, which is there before the blob is. Where a blob
 * belongs to several runs, the directory `ID.runs` beside it has an empty file for each: the one that removes the
 * directory is the last of them.
 *
 * Documents with the same bytes are links to one file, of which `DIR/TENANT/same/ab/SHA256` is another name, so that the next
 * one finds it. It goes when no document has the bytes any more. Where the file system has no links each has its own.
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
    const id = newId();
    const path = this.#path(source.tenant, id);
    await mkdir(join(path, ".."), { recursive: true });
    if (source.run !== undefined) await this.#mark(source.tenant, source.run, id);
    const bytes = counted(body, options.maxBytes);
    const file = await open(path, "wx");
    let same: string | undefined;
    try {
      for await (const chunk of bytes) await file.writeFile(chunk);
      await file.sync();
      await file.close();
      const sha256 = bytes.sha256();
      if (source.run === undefined) {
        same = this.#samePath(source.tenant, sha256);
        await linkToSame(path, same);
      }
      const blob: BlobInfo = { ...source, id, size: bytes.size, sha256, createdAt: new Date().toISOString() };
      await writeWhole(`${path}.json`, JSON.stringify(blob));
      return blob;
    } catch (error) {
      await file.close().catch(ignoreClosed);
      await rm(path, { force: true });
      if (same !== undefined) await removeIfLast(same);
      if (source.run !== undefined) await rm(join(this.#runPath(source.tenant, source.run), id), { force: true });
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

  async open(tenant: string, id: string, options: { range?: ByteRange | undefined } = {}): Promise<OpenedBlob> {
    const blob = await this.find(tenant, id);
    if (blob === undefined) throw new NotFoundError("document", id);
    const { range = { offset: 0, length: blob.size } } = options;
    if (options.range !== undefined) checkRange(blob, options.range);
    try {
      return { blob, body: streamOf(await open(this.#path(tenant, id)), range) };
    } catch (error) {
      if ((error as { code?: string }).code === "ENOENT") throw new NotFoundError("document", id);
      throw error;
    }
  }

  async delete(tenant: string, id: string): Promise<void> {
    if (!ID_PATTERN.test(id)) return;
    const path = this.#path(tenant, id);
    const { run, sha256 } = (await this.find(tenant, id)) ?? {};
    // What is known of it goes last: by that, a delete that was cut is finished by the next one.
    await rm(path, { force: true });
    if (sha256 !== undefined && run === undefined) await removeIfLast(this.#samePath(tenant, sha256));
    await rm(`${path}.json`, { force: true });
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

  #samePath(tenant: string, sha256: string): string {
    return join(this.#tenantPath(tenant), "same", sha256.slice(0, 2), sha256);
  }

  #tenantPath(tenant: string): string {
    if (!ID_PATTERN.test(tenant))
      throw new MillraceError("bad_tenant", "A tenant's name is 1 to 64 of A-Z a-z 0-9 _ -");
    return join(this.#dir, tenant);
  }
}

/** Bytes of an open file, 64 KB at a time as they are asked for. Closes it at the end or when the reader leaves. */
function streamOf(file: FileHandle, { offset, length }: ByteRange): ReadableStream<Uint8Array> {
  let at = offset;
  const end = offset + length;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { bytesRead, buffer } = await file.read(new Uint8Array(Math.min(65_536, end - at)), 0, undefined, at);
      at += bytesRead;
      if (bytesRead > 0) return controller.enqueue(buffer.subarray(0, bytesRead));
      await file.close();
      controller.close();
    },
    cancel: () => file.close(),
  });
}

/** Errors of a file system that has no links, or no more for this file. */
const NO_LINK = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK", "EXDEV"]);

/**
 * Has a file that was just written be a link to the one with the same bytes, or become that one. Whoever has a link has the
 * bytes, so it does no harm if the other name is taken away or made meanwhile.
 */
async function linkToSame(path: string, same: string): Promise<void> {
  const linked = `${path}.${randomBytes(4).toString("hex")}.part`;
  try {
    await link(same, linked);
    await rename(linked, path);
    return;
  } catch (error) {
    await rm(linked, { force: true });
    const { code = "" } = error as { code?: string };
    if (NO_LINK.has(code)) return;
    if (code !== "ENOENT") throw error;
  }
  await mkdir(join(same, ".."), { recursive: true });
  try {
    await link(path, same);
  } catch (error) {
    const { code = "" } = error as { code?: string };
    if (code !== "EEXIST" && !NO_LINK.has(code)) throw error;
  }
}

/** Takes away a name of bytes that no document has any more. */
async function removeIfLast(same: string): Promise<void> {
  try {
    if ((await stat(same)).nlink === 1) await rm(same, { force: true });
  } catch (error) {
    if ((error as { code?: string }).code !== "ENOENT") throw error;
  }
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
