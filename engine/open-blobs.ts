import type { BlobStore } from "./blobs/blob-store.ts";
import { MillraceError } from "./errors.ts";
import type { CredentialsProvider } from "./redis/credentials.ts";

/** What the places of blobs need beside their URL. */
export interface OpenBlobsOptions {
  /** Where credentials and regions are found under the names that the services' own tools read. */
  env?: Readonly<Record<string, string | undefined>>;
  /** Which Redis `redis:` is, and what is kept there under which name: as `connect` takes them. */
  redis?: { url: string; namespace?: string; credentials?: CredentialsProvider };
}

/** A blob store, and how to let go of what it holds open. */
export interface OpenedBlobs {
  blobs: BlobStore;
  close(): void;
}

const nothing = () => {};

/**
 * The blob store that a URL names; only its own module is loaded.
 *
 * - a path, or `file:///path`
 * - `redis:`, with `?maxBytes=`: in the Redis of the runs
 * - `s3://BUCKET/PREFIX`, with `?region=`, `?endpoint=`, `?forcePathStyle=true`: by `AWS_ACCESS_KEY_ID`,
 *   `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN` and `AWS_REGION` of `env`
 * - `azure://ACCOUNT/CONTAINER/PREFIX`, with `?endpoint=`: by `AZURE_STORAGE_KEY` or `AZURE_STORAGE_SAS_TOKEN` of `env`, else by
 *   Microsoft Entra ID
 *
 * @throws MillraceError `bad_blobs_url`, `no_azure_storage`, `no_azure_identity`; UnavailableError
 */
export async function openBlobs(url: string, { env = {}, redis }: OpenBlobsOptions = {}): Promise<OpenedBlobs> {
  const place = parseBlobsUrl(url);
  switch (place.scheme) {
    case "file": {
      const { FsBlobStore } = await import("./blobs/fs.ts");
      return { blobs: new FsBlobStore(place.path), close: nothing };
    }
    case "redis": {
      if (redis === undefined) throw bad("redis: needs a Redis.");
      const { redisBlobs } = await import("./redis-blobs.ts");
      const blobs = await redisBlobs({ ...redis, maxBytes: place.maxBytes });
      return { blobs, close: () => blobs.close() };
    }
    case "s3": {
      const { s3Blobs } = await import("./blobs/s3.ts");
      const { scheme: _, region = env.AWS_REGION, ...rest } = place;
      const [accessKeyId, secretAccessKey] = [env.AWS_ACCESS_KEY_ID, env.AWS_SECRET_ACCESS_KEY];
      if (!accessKeyId || !secretAccessKey) throw bad("s3: needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.");
      const credentials = { accessKeyId, secretAccessKey, sessionToken: env.AWS_SESSION_TOKEN || undefined };
      return { blobs: s3Blobs({ ...rest, region, credentials }), close: nothing };
    }
    case "azure": {
      const { azureBlobs } = await import("./blobs/azure.ts");
      const { scheme: _, ...rest } = place;
      const [key, sas] = [env.AZURE_STORAGE_KEY, env.AZURE_STORAGE_SAS_TOKEN];
      const credential = key ? { key } : sas ? { sas } : undefined;
      return { blobs: await azureBlobs({ ...rest, credential }), close: nothing };
    }
  }
}

/** A blob store's place, checked as far as it can be without asking anybody. */
export type BlobsPlace =
  | { scheme: "file"; path: string }
  | { scheme: "redis"; maxBytes: number | undefined }
  | {
      scheme: "s3";
      bucket: string;
      prefix: string;
      region: string | undefined;
      endpoint: string | undefined;
      forcePathStyle: boolean;
    }
  | { scheme: "azure"; account: string; container: string; prefix: string; endpoint: string | undefined };

/** The place that a URL names. @throws MillraceError `bad_blobs_url` */
export function parseBlobsUrl(text: string): BlobsPlace {
  // A letter alone is a drive.
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(text)?.[1]?.toLowerCase();
  if (scheme === undefined) return { scheme: "file", path: text };
  if (!URL.canParse(text)) throw bad("It is not a URL.");
  const url = new URL(text);
  if (url.username !== "" || url.password !== "") throw bad("It takes no credentials: they are read from variables.");
  const parts = url.pathname.split("/").filter((part) => part !== "");
  switch (scheme) {
    case "file":
      query(url, []);
      if (url.host !== "" || parts.length === 0) throw bad("Of a file: URL the path is wanted, as file:///var/blobs.");
      return { scheme, path: decodeURIComponent(url.pathname) };
    case "redis": {
      const { maxBytes } = query(url, ["maxBytes"]);
      if (url.host !== "" || parts.length > 0)
        throw bad("redis: stands for the Redis of the runs, and names no other.");
      return { scheme, maxBytes: maxBytes === undefined ? undefined : whole(maxBytes) };
    }
    case "s3": {
      const { forcePathStyle = "false", region, endpoint } = query(url, ["region", "endpoint", "forcePathStyle"]);
      if (!/^(true|false)$/.test(forcePathStyle)) throw bad("forcePathStyle is true or false.");
      if (url.host === "") throw bad("An s3: URL names a bucket, as s3://bucket/prefix.");
      const how = { region, endpoint, forcePathStyle: forcePathStyle === "true" };
      return { scheme, bucket: url.host, prefix: parts.join("/"), ...how };
    }
    case "azure": {
      const { endpoint } = query(url, ["endpoint"]);
      const [container, ...prefix] = parts;
      if (url.host === "" || container === undefined)
        throw bad("An azure: URL names an account and a container, as azure://account/container/prefix.");
      return { scheme, account: url.host, container, prefix: prefix.join("/"), endpoint };
    }
    default:
      throw bad(`There is no store for ${scheme}:, only for paths, file:, redis:, s3: and azure:.`);
  }
}

function query<N extends string>(url: URL, names: readonly N[]): Partial<Record<N, string>> {
  for (const name of url.searchParams.keys())
    if (!names.includes(name as N)) throw bad(`It takes no ${JSON.stringify(name)}.`);
  return Object.fromEntries(url.searchParams) as Partial<Record<N, string>>;
}

function whole(text: string): number {
  if (!/^[1-9]\d{0,14}$/.test(text)) throw bad("maxBytes is a whole number of bytes, 1 or more.");
  return Number(text);
}

function bad(message: string): MillraceError {
  return new MillraceError("bad_blobs_url", message);
}
