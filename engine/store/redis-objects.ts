import type { ByteRange } from "../blobs/blob-store.ts";
import { inParts } from "../blobs/counted.ts";
import type { MarkSet, ObjectKey, Objects } from "../blobs/objects.ts";
import { MillraceError, UnavailableError } from "../errors.ts";
import type { NamespaceKeys } from "../keys.ts";
import type { Client } from "../redis/client.ts";

/** What one call carries of a blob. */
const CHUNK_BYTES = 262_144;
/** What is half written, and then left by who wrote it, is gone after so long. */
const WRITING_S = 3_600;
const PAGE = 1_000;

/** Objects in Redis: a hash of chunks each, that are written and read one at a time. */
export class RedisObjects implements Objects {
  readonly #client: Client;
  readonly #keys: NamespaceKeys;

  constructor(client: Client, keys: NamespaceKeys) {
    this.#client = client;
    this.#keys = keys;
  }

  async write(key: ObjectKey, body: AsyncIterable<Uint8Array>): Promise<void> {
    const hash = this.#hash(key);
    let chunks = 0;
    try {
      for await (const part of inParts(body, CHUNK_BYTES)) {
        await this.#client.callWithBytes("HSET", hash, chunks++, part);
        await this.#client.call("EXPIRE", hash, WRITING_S);
      }
      // Under some policies Redis may have dropped what was to expire.
      const kept = Number(await this.#client.call("HLEN", hash));
      const left =
        kept === chunks
          ? await this.#client.pipeline([
              ["PERSIST", hash],
              ["HLEN", hash],
            ])
          : [0, kept];
      if (left[1] !== chunks) throw new UnavailableError("Redis has dropped a blob while it was written.");
    } catch (error) {
      // What cannot be removed now expires.
      if (chunks > 0) await this.#client.call("UNLINK", hash).catch(() => {});
      throw error;
    }
  }

  async read(key: ObjectKey, range?: ByteRange): Promise<ReadableStream<Uint8Array> | undefined> {
    const hash = this.#hash(key);
    const size = await this.size(key);
    if (size === undefined) return undefined;
    const end = range === undefined ? size : range.offset + range.length;
    let at = range?.offset ?? 0;
    const client = this.#client;
    return new ReadableStream<Uint8Array>(
      {
        async pull(controller) {
          if (at >= end) return controller.close();
          const chunk = Math.floor(at / CHUNK_BYTES);
          const start = chunk * CHUNK_BYTES;
          const bytes = (await client.callWithBytes("HGET", hash, chunk)) as Uint8Array | null;
          if (bytes === null) throw new MillraceError("blob_gone", "The blob was deleted while it was read.");
          controller.enqueue(bytes.subarray(at - start, end - start));
          at = start + CHUNK_BYTES;
        },
      },
      { highWaterMark: 0 },
    );
  }

  async size(key: ObjectKey): Promise<number | undefined> {
    const hash = this.#hash(key);
    const chunks = Number(await this.#client.call("HLEN", hash));
    if (chunks === 0) return undefined;
    const last = Number(await this.#client.call("HSTRLEN", hash, chunks - 1));
    return (chunks - 1) * CHUNK_BYTES + last;
  }

  async remove(key: ObjectKey): Promise<void> {
    await this.#client.call("UNLINK", this.#hash(key));
  }

  async mark(set: MarkSet, name: string): Promise<void> {
    await this.#client.call("ZADD", this.#set(set), 0, name);
  }

  async unmark(set: MarkSet, name: string): Promise<void> {
    await this.#client.call("ZREM", this.#set(set), name);
  }

  async *marks(set: MarkSet, start = ""): AsyncGenerator<string, void, undefined> {
    // No name has a byte above those of ASCII.
    const to = start === "" ? "+" : `(${start}\xff`;
    for (let from = start === "" ? "-" : `[${start}`; ; ) {
      const call = ["ZRANGEBYLEX", this.#set(set), from, to, "LIMIT", 0, PAGE] as const;
      const names = (await this.#client.call(...call)) as string[];
      yield* names;
      if (names.length < PAGE) return;
      from = `(${names.at(-1)}`;
    }
  }

  #hash({ kind, tenant, id }: ObjectKey): string {
    return kind === "content" ? this.#keys.blobContent(tenant, id) : this.#keys.blobRecord(tenant, id);
  }

  #set({ kind, tenant, id }: MarkSet): string {
    return this.#keys.blobNames(tenant, kind, id);
  }
}
