import { MillraceError } from "../errors.ts";

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
  if (!URL.canParse(text)) throw badBlobs("It is not a URL.");
  const url = new URL(text);
  if (url.username !== "" || url.password !== "")
    throw badBlobs("It takes no credentials: they are read from variables.");
  const parts = url.pathname.split("/").filter((part) => part !== "");
  switch (scheme) {
    case "file":
      query(url, []);
      if (url.host !== "" || parts.length === 0)
        throw badBlobs("Of a file: URL the path is wanted, as file:///var/blobs.");
      return { scheme, path: decodeURIComponent(url.pathname) };
    case "redis": {
      const { maxBytes } = query(url, ["maxBytes"]);
      if (url.host !== "" || parts.length > 0)
        throw badBlobs("redis: stands for the Redis of the runs, and names no other.");
      return { scheme, maxBytes: maxBytes === undefined ? undefined : whole(maxBytes) };
    }
    case "s3": {
      const { forcePathStyle = "false", region, endpoint } = query(url, ["region", "endpoint", "forcePathStyle"]);
      if (!/^(true|false)$/.test(forcePathStyle)) throw badBlobs("forcePathStyle is true or false.");
      if (url.host === "") throw badBlobs("An s3: URL names a bucket, as s3://bucket/prefix.");
      const how = { region, endpoint, forcePathStyle: forcePathStyle === "true" };
      return { scheme, bucket: url.host, prefix: parts.join("/"), ...how };
    }
    case "azure": {
      const { endpoint } = query(url, ["endpoint"]);
      const [container, ...prefix] = parts;
      if (url.host === "" || container === undefined)
        throw badBlobs("An azure: URL names an account and a container, as azure://account/container/prefix.");
      return { scheme, account: url.host, container, prefix: prefix.join("/"), endpoint };
    }
    default:
      throw badBlobs(`There is no store for ${scheme}:, only for paths, file:, redis:, s3: and azure:.`);
  }
}

function query<N extends string>(url: URL, names: readonly N[]): Partial<Record<N, string>> {
  for (const name of url.searchParams.keys())
    if (!names.includes(name as N)) throw badBlobs(`It takes no ${JSON.stringify(name)}.`);
  return Object.fromEntries(url.searchParams) as Partial<Record<N, string>>;
}

function whole(text: string): number {
  if (!/^[1-9]\d{0,14}$/.test(text)) throw badBlobs("maxBytes is a whole number of bytes, 1 or more.");
  return Number(text);
}

/** What an address of blobs is refused with. */
export function badBlobs(message: string): MillraceError {
  return new MillraceError("bad_blobs_url", message);
}
