import { createHash, randomBytes } from "node:crypto";
import { type FileHandle, mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { MillraceError, NotFoundError } from "../errors.ts";
import { ID_PATTERN, newId } from "../ids.ts";
import type { BlobInfo, BlobSource, BlobStore } from "./blob-store.ts";

/**
 * Blobs as files: `DIR/TENANT/ab/ID` holds the bytes and `ID.json` beside it what is known of them. The second is
 * written last and by rename, so a blob exists from one instant to the next. For one machine, or a shared volume.
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
    await rm(`${path}.json`, { force: true });
    await rm(path, { force: true });
  }

  /** Ids are time-ordered, so their last characters spread them over folders. */
  #path(tenant: string, id: string): string {
    if (!ID_PATTERN.test(tenant))
      throw new MillraceError("bad_tenant", "A tenant's name is 1 to 64 of A-Z a-z 0-9 _ -");
    return join(this.#dir, tenant, id.slice(-2), id);
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
