import type { ByteRange } from "./blob-store.ts";
import { inParts } from "./counted.ts";
import { type MarkSet, type ObjectKey, type Objects, pathOf, withDeadline } from "./objects.ts";
import { type S3Client, textOf, unavailable } from "./s3-client.ts";

/** The smallest that a part may be, the last one aside (https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html). */
const PART_BYTES = 5_242_880;

/** Objects in a bucket. A name in a set is an empty object under the set's path. An upload holds one part in memory. */
export class S3Objects implements Objects {
  readonly #client: S3Client;

  constructor(client: S3Client) {
    this.#client = client;
  }

  async write(key: ObjectKey, body: AsyncIterable<Uint8Array>): Promise<void> {
    const path = pathOf(key);
    const tags: string[] = [];
    let upload: string | undefined;
    try {
      for await (const part of inParts(body, PART_BYTES)) {
        if (upload === undefined && part.byteLength < PART_BYTES) return await this.#put(path, part);
        upload ??= await this.#begin(path);
        tags.push(await this.#part(path, upload, tags.length + 1, part));
      }
      await this.#complete(path, upload!, tags);
    } catch (error) {
      if (upload !== undefined) await this.#giveUp(path, upload);
      throw error;
    }
  }

  async read(key: ObjectKey, range?: ByteRange): Promise<ReadableStream<Uint8Array> | undefined> {
    const path = pathOf(key);
    const wanted = range && { Range: `bytes=${range.offset}-${range.offset + range.length - 1}` };
    const response = await this.#client.request({ method: "GET", path, headers: { ...wanted }, also: [404] });
    if (response.status === 404) {
      await response.body?.cancel();
      return undefined;
    }
    const body = response.body ?? new Response("").body!;
    return withDeadline(body as ReadableStream<Uint8Array>, this.#client.timeoutMs, unavailable);
  }

  async size(key: ObjectKey): Promise<number | undefined> {
    const response = await this.#client.head({ method: "HEAD", path: pathOf(key), also: [404] });
    return response.status === 404 ? undefined : Number(response.headers.get("content-length"));
  }

  async remove(key: ObjectKey): Promise<void> {
    await this.#delete(pathOf(key));
  }

  async mark(set: MarkSet, name: string): Promise<void> {
    await this.#put(`${pathOf(set)}/${name}`, new Uint8Array());
  }

  async unmark(set: MarkSet, name: string): Promise<void> {
    await this.#delete(`${pathOf(set)}/${name}`);
  }

  async *marks(set: MarkSet, start = ""): AsyncGenerator<string, void, undefined> {
    const folder = this.#client.keyOf(`${pathOf(set)}/`);
    for (let after = ""; ; ) {
      const query = { "list-type": "2", prefix: `${folder}${start}`, "max-keys": "1000" };
      const more: Record<string, string> = after === "" ? {} : { "start-after": after };
      const page = await this.#client.text({ method: "GET", query: { ...query, ...more } });
      const keys = [...page.matchAll(/<Key>([^<]*)<\/Key>/g)].map(([, key]) => key!);
      for (const key of keys) yield key.slice(folder.length);
      if (textOf(page, "IsTruncated") !== "true" || keys.length === 0) return;
      after = keys.at(-1)!;
    }
  }

  async presign(key: ObjectKey, size: number, expiresInMs: number) {
    const { url, signedAtMs } = await this.#client.presign(pathOf(key), size, expiresInMs);
    const expiresAt = new Date(signedAtMs + expiresInMs).toISOString();
    return { url, method: "PUT" as const, headers: {}, expiresAt };
  }

  async #put(path: string, body: Uint8Array<ArrayBuffer>): Promise<void> {
    try {
      await this.#client.head({ method: "PUT", path, body });
    } catch (error) {
      // It may have been stored although nobody said so.
      await this.#delete(path).catch(() => {});
      throw error;
    }
  }

  async #delete(path: string): Promise<void> {
    await this.#client.head({ method: "DELETE", path, also: [404] });
  }

  async #begin(path: string): Promise<string> {
    const answer = await this.#client.text({ method: "POST", path, query: { uploads: "" } });
    const upload = textOf(answer, "UploadId");
    if (upload === undefined) throw unavailable(new Error("It began no upload."));
    return upload;
  }

  async #part(path: string, upload: string, number: number, body: Uint8Array<ArrayBuffer>): Promise<string> {
    const query = { partNumber: String(number), uploadId: upload };
    const { headers } = await this.#client.head({ method: "PUT", path, query, body });
    const tag = headers.get("etag");
    if (tag === null) throw unavailable(new Error("It stored a part and gave no ETag."));
    return tag;
  }

  /** What cannot be reached now, the bucket's rule for incomplete uploads removes. */
  async #giveUp(path: string, upload: string): Promise<void> {
    const query = { uploadId: upload };
    await this.#client.head({ method: "DELETE", path, query, also: [404] }).catch(() => {});
    // It may have been completed although nobody said so.
    await this.#delete(path).catch(() => {});
  }

  async #complete(path: string, upload: string, tags: readonly string[]): Promise<void> {
    const parts = tags.map((tag, i) => `<Part><PartNumber>${i + 1}</PartNumber><ETag>${tag}</ETag></Part>`);
    const body = `<CompleteMultipartUpload>${parts.join("")}</CompleteMultipartUpload>`;
    const query = { uploadId: upload };
    const headers = { "Content-Type": "application/xml" };
    const answer = await this.#client.text({ method: "POST", path, query, body, headers, also: [404] });
    // It may fail after its status was sent; and a second try finds the upload gone if the first was heard.
    if (/<CompleteMultipartUploadResult\b/.test(answer)) return;
    const { status } = await this.#client.head({ method: "HEAD", path, also: [404] });
    if (status === 404) throw unavailable(new Error(`An upload was not completed: ${textOf(answer, "Code")}`));
  }
}
