import type { BlobStore } from "./blobs/blob-store.ts";
import { parseBlobsUrl } from "./blobs/place.ts";
import { openEdgeBlobs } from "./edge-blobs.ts";
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
    case "redis":
    case "s3":
      return openEdgeBlobs(place, { env, redis });
    case "azure": {
      const { azureBlobs } = await import("./blobs/azure.ts");
      const { scheme: _, ...rest } = place;
      const [key, sas] = [env.AZURE_STORAGE_KEY, env.AZURE_STORAGE_SAS_TOKEN];
      const credential = key ? { key } : sas ? { sas } : undefined;
      return { blobs: await azureBlobs({ ...rest, credential }), close: nothing };
    }
  }
}
