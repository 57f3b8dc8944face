import type { ContainerClient } from "@azure/storage-blob";
import { MillraceError, UnavailableError } from "../errors.ts";
import type { Signs } from "./azure.ts";
import type { ByteRange } from "./blob-store.ts";
import { inParts } from "./counted.ts";
import { type MarkSet, type ObjectKey, type Objects, pathOf, withDeadline } from "./objects.ts";

/** Of 50,000 that a blob may have. An upload holds one in memory. */
const BLOCK_BYTES = 4_194_304;
/** The ids of a blob's blocks have one length, in base64. */
const BLOCK_DIGITS = 6;
const OPEN_BYTES = 65_536;
const REFUSED = /^4(?!08|29)/;

interface Settings {
  prefix: string;
  timeoutMs: number;
  signs: Signs | undefined;
}

/** Objects in a container. A name in a set is an empty blob under the set's path. */
export class AzureObjects implements Objects {
  readonly #container: ContainerClient;
  readonly #prefix: string;
  readonly #timeoutMs: number;
  readonly presign?: NonNullable<Objects["presign"]>;

  constructor(container: ContainerClient, { prefix, timeoutMs, signs }: Settings) {
    this.#container = container;
    this.#prefix = prefix === "" ? "" : `${prefix}/`;
    this.#timeoutMs = timeoutMs;
    if (signs === undefined) return;
    this.presign = async (key, _size, expiresInMs) => {
      const expires = new Date(Date.now() + expiresInMs);
      const url = await this.#call(() => signs(this.#container.getBlobClient(this.#path(key)), expires));
      const headers = { "x-ms-blob-type": "BlockBlob" };
      return { url, method: "PUT", headers, expiresAt: expires.toISOString() };
    };
  }

  async write(key: ObjectKey, body: AsyncIterable<Uint8Array>): Promise<void> {
    const path = this.#path(key);
    const blob = this.#container.getBlockBlobClient(path);
    const ids: string[] = [];
    try {
      for await (const part of inParts(body, BLOCK_BYTES)) {
        if (ids.length === 0 && part.byteLength < BLOCK_BYTES) return await this.#put(path, part);
        const id = btoa(String(ids.length).padStart(BLOCK_DIGITS, "0"));
        ids.push(id);
        await this.#call((to) => blob.stageBlock(id, part, part.byteLength, to));
      }
      await this.#call((to) => blob.commitBlockList(ids, to));
    } catch (error) {
      if (ids.length > 0) await this.#giveUp(path);
      throw error;
    }
  }

  /** Blocks of no blob would be kept for a week: a list without them drops them, and leaves an empty blob. */
  async #giveUp(path: string): Promise<void> {
    const blob = this.#container.getBlockBlobClient(path);
    await this.#call((to) => blob.commitBlockList([], to))
      .then(() => this.#delete(path))
      .catch(() => {});
  }

  async read(key: ObjectKey, range?: ByteRange): Promise<ReadableStream<Uint8Array> | undefined> {
    const blob = this.#container.getBlobClient(this.#path(key));
    const opened = await this.#call((to) => blob.download(range?.offset, range?.length, to), this.#isMissing);
    const node = opened?.readableStreamBody;
    if (opened === undefined) return undefined;
    if (node === undefined) return (await opened.blobBody)?.stream() as ReadableStream<Uint8Array> | undefined;
    return withDeadline(streamOf(node as NodeBody), this.#timeoutMs, unavailable);
  }

  async size(key: ObjectKey): Promise<number | undefined> {
    const blob = this.#container.getBlobClient(this.#path(key));
    return (await this.#call((to) => blob.getProperties(to), this.#isMissing))?.contentLength;
  }

  async remove(key: ObjectKey): Promise<void> {
    await this.#delete(this.#path(key));
  }

  async mark(set: MarkSet, name: string): Promise<void> {
    await this.#put(this.#path(set, name), new Uint8Array());
  }

  async unmark(set: MarkSet, name: string): Promise<void> {
    await this.#delete(this.#path(set, name));
  }

  async *marks(set: MarkSet, start = ""): AsyncGenerator<string, void, undefined> {
    const folder = this.#path(set, "");
    for (let continuationToken: string | undefined; ; ) {
      const page = await this.#call(async (to) => {
        const listed = this.#container.listBlobsFlat({ prefix: `${folder}${start}`, ...to });
        const { value } = await listed
          .byPage({ maxPageSize: 1_000, ...(continuationToken === undefined ? {} : { continuationToken }) })
          .next();
        return value;
      });
      if (page === undefined) return;
      for (const { name } of page.segment.blobItems) yield name.slice(folder.length);
      continuationToken = page.continuationToken || undefined;
      if (continuationToken === undefined) return;
    }
  }

  async #put(path: string, body: Uint8Array<ArrayBuffer>): Promise<void> {
    try {
      await this.#call((to) => this.#container.getBlockBlobClient(path).upload(body, body.byteLength, to));
    } catch (error) {
      // It may have been stored although nobody said so.
      await this.#delete(path).catch(() => {});
      throw error;
    }
  }

  async #delete(path: string): Promise<void> {
    await this.#call((to) => this.#container.getBlobClient(path).deleteIfExists(to));
  }

  #path(key: ObjectKey | MarkSet, name?: string): string {
    return `${this.#prefix}${pathOf(key)}${name === undefined ? "" : `/${name}`}`;
  }

  /** Makes a call, that the client makes again by itself, within its deadline. @param isNothing what to take for undefined */
  async #call<T>(make: (to: { abortSignal: AbortSignal }) => Promise<T>): Promise<T>;
  async #call<T>(
    make: (to: { abortSignal: AbortSignal }) => Promise<T>,
    isNothing: (error: unknown) => boolean,
  ): Promise<T | undefined>;
  async #call<T>(
    make: (to: { abortSignal: AbortSignal }) => Promise<T>,
    isNothing = (_: unknown) => false,
  ): Promise<T | undefined> {
    // Not a signal that aborts by itself: the body of a download goes on after the call.
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), 2 * this.#timeoutMs);
    try {
      return await make({ abortSignal: late.signal });
    } catch (error) {
      if (isNothing(error)) return undefined;
      const { statusCode, code, message } = error as { statusCode?: number; code?: string; message?: string };
      if (statusCode === undefined || !REFUSED.test(String(statusCode))) throw unavailable(error);
      const what = `${statusCode} ${code ?? ""}`.trim();
      const [detail = ""] = (message ?? "").split("\n");
      throw new MillraceError("blobs_refused", `The blob store refused: ${what}. ${detail}`, { cause: error });
    } finally {
      clearTimeout(timer);
    }
  }

  /** The answer to HEAD has no body that would say what there is not. */
  readonly #isMissing = (error: unknown) => {
    const { statusCode, code } = error as { statusCode?: number; code?: string };
    return statusCode === 404 && code !== "ContainerNotFound";
  };
}

/** What is used of a stream of Node, so that this file names none of its modules. */
interface NodeBody extends AsyncIterable<Uint8Array> {
  destroy(error?: Error): unknown;
}

function streamOf(body: NodeBody): ReadableStream<Uint8Array> {
  const chunks = body[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await chunks.next();
        if (done) return controller.close();
        // What a socket has read may be large: handed on a piece at a time.
        for (let from = 0; from < value.byteLength; from += OPEN_BYTES)
          controller.enqueue(value.subarray(from, from + OPEN_BYTES));
      },
      cancel: () => void body.destroy(),
    },
    { highWaterMark: 0 },
  );
}

function unavailable(cause: unknown): UnavailableError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new UnavailableError(`The blob store is not available: ${why}`, { cause });
}
