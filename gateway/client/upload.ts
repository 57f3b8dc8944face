import { ClientError } from "./errors.ts";
import type { Http } from "./http.ts";
import { backoffMs, pause } from "./retry.ts";
import type { Uploaded } from "./types.ts";

/** Of a request: small enough to tell how far it is, and to send again. */
const PART_BYTES = 4 * 1024 * 1024;
/** So many failures in a row, between which nothing arrived. */
const TRIES = 8;
const TUS = { "Tus-Resumable": "1.0.0" };

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
  const location = options.location ?? (await create(http, file, options));
  if (options.location === undefined) options.onLocation?.(location);
  let offset = options.location === undefined ? 0 : await offsetOf(http, location, signal);
  for (let failures = 0; ; ) {
    onProgress?.(offset, file.size);
    try {
      const response = await http.ask(location, {
        method: "PATCH",
        headers: { ...TUS, "Upload-Offset": String(offset), "Content-Type": "application/offset+octet-stream" },
        body: file.slice(offset, offset + PART_BYTES),
        ...{ signal, tries: 1 },
      });
      offset = Number(response.headers.get("upload-offset"));
      failures = 0;
      if (offset < file.size) continue;
      onProgress?.(offset, file.size);
      const run = response.headers.get("millrace-run");
      return { document: response.headers.get("millrace-document")!, ...(run !== null && { run }) };
    } catch (error) {
      signal?.throwIfAborted();
      // 409: the gateway has more, or less, than was thought.
      const isPassing =
        !(error instanceof ClientError) || error.status >= 500 || [409, 423, 429].includes(error.status);
      failures += 1;
      if (!isPassing || failures >= TRIES) throw error;
      await pause(backoffMs(failures), signal);
      offset = await offsetOf(http, location, signal);
    }
  }
}

async function create(http: Http, file: Blob, { name, type, workflow, signal }: UploadOptions): Promise<string> {
  const metadata = {
    filename: name ?? (file as Partial<File>).name ?? "document",
    filetype: type || file.type,
    workflow,
  };
  const response = await http.ask("/v1/uploads", {
    method: "POST",
    headers: {
      ...{ ...TUS, "Upload-Length": String(file.size), "Idempotency-Key": crypto.randomUUID() },
      "Upload-Metadata": Object.entries(metadata)
        .filter(([, value]) => value)
        .map(([key, value]) => `${key} ${base64(value!)}`)
        .join(","),
    },
    signal,
  });
  return new URL(response.headers.get("location")!, `${http.url}/`).pathname;
}

/** How much the gateway has: all of it, too, when the answer to the last part was lost. */
async function offsetOf(http: Http, location: string, signal: AbortSignal | undefined): Promise<number> {
  const { headers } = await http.ask(location, { method: "HEAD", headers: TUS, signal });
  return Number(headers.get("upload-offset"));
}

function base64(text: string): string {
  return btoa(Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join(""));
}
