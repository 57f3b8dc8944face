import { ClientError } from "./errors.ts";
import { type Http, isPassing } from "./http.ts";
import { backoffMs, newKey, pause } from "./retry.ts";
import type { Uploaded } from "./types.ts";

/** Of a request: small enough to tell how far it is. What came of one that broke counts. */
const PART_BYTES = 4 * 1024 * 1024;
/** Slower than 7 KB/s a part is not done in time, and what came of it counts. */
const PART_MS = 600_000;
/** So many failures in a row, between which nothing arrived: more than a minute. */
const TRIES = 12;
const TUS = { "Tus-Resumable": "1.0.0" };

/** What an upload is called, what becomes of it, and who hears how far it is. */
export interface UploadOptions {
  /** Default: the file's own. */
  name?: string;
  /** The media type. Default: the file's own. */
  type?: string;
  /** A workflow to start with `{document}` once all is there. */
  workflow?: string;
  /** Where an earlier upload of the same bytes was, as `onLocation` said: it goes on from there. */
  location?: string | undefined;
  onLocation?(location: string): void;
  /** Told after every part. In bytes. */
  onProgress?(sent: number, total: number): void;
  signal?: AbortSignal | undefined;
}

/**
 * Sends a file so that it goes on where it was after a lost connection (https://tus.io).
 *
 * @throws ClientError if it is refused; the signal's reason; TypeError if the gateway stays away
 */
export async function upload(http: Http, file: Blob, options: UploadOptions): Promise<Uploaded> {
  const { signal, onProgress } = options;
  const { onLocation } = options;
  const location = options.location ?? (await create(http, file, options));
  if (options.location === undefined) onLocation?.(location);
  const asks = { signal, tries: 1 };
  /** How much the gateway has; undefined while that is not known. */
  let offset = options.location === undefined ? 0 : undefined;
  let most = 0;
  for (let failures = 0; ; ) {
    try {
      offset ??= offsetIn(await http.ask(location, { ...asks, method: "HEAD", headers: TUS }));
      if (offset > most) failures = 0;
      most = Math.max(most, offset);
      onProgress?.(offset, file.size);
      const headers = await http.ask(location, {
        ...{ ...asks, method: "PATCH", answerMs: PART_MS },
        headers: { ...TUS, "Upload-Offset": String(offset), "Content-Type": "application/offset+octet-stream" },
        body: file.slice(offset, offset + PART_BYTES),
      });
      offset = offsetIn(headers);
      if (offset < file.size) continue;
      onProgress?.(offset, file.size);
      const run = headers.get("millrace-run");
      return { document: headers.get("millrace-document")!, ...(run !== null && { run }) };
    } catch (error) {
      signal?.throwIfAborted();
      failures += 1;
      // 409: the gateway has more, or less, than was thought.
      const isAgain = isPassing(error) || (error instanceof ClientError && error.status === 409);
      if (!isAgain || failures >= TRIES) throw error;
      offset = undefined;
      await pause(backoffMs(failures), signal);
    }
  }
}

async function create(http: Http, file: Blob, { name, type, workflow, signal }: UploadOptions): Promise<string> {
  const metadata = {
    filename: name ?? (file as Partial<File>).name ?? "document",
    filetype: type || file.type,
    workflow,
  };
  const headers = await http.ask("/v1/uploads", {
    method: "POST",
    headers: {
      ...{ ...TUS, "Upload-Length": String(file.size), "Idempotency-Key": newKey() },
      "Upload-Metadata": Object.entries(metadata)
        .filter(([, value]) => value)
        .map(([key, value]) => `${key} ${base64(value!)}`)
        .join(","),
    },
    signal,
  });
  return new URL(headers.get("location")!, `${http.url}/`).pathname;
}

function offsetIn(headers: Headers): number {
  return Number(headers.get("upload-offset"));
}

function base64(text: string): string {
  return btoa(Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join(""));
}
