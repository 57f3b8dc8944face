import { ObjectBlobStore } from "./object-blobs.ts";
import { S3Client, type S3Place } from "./s3-client.ts";
import { S3Objects } from "./s3-objects.ts";

export type { S3Credentials, S3Place } from "./s3-client.ts";

/** Which bucket, and how large a blob may be. */
export interface S3Options extends S3Place {
  /** Of one blob. Default: 50 GB, as many parts as there may be. */
  maxBytes?: number;
}

const DEFAULT_MAX_BYTES = 50_000_000_000;

/**
 * Blobs in a bucket of Amazon S3, or of anything that speaks its protocol. With nothing but `fetch`, so it runs wherever
 * there is that.
 *
 * Its lists have to show every write that was answered, as those of S3 do. An upload that a killed process leaves
 * half-way is the bucket's to remove (`AbortIncompleteMultipartUpload`).
 *
 * @throws MillraceError `bad_blobs_url` for a place that cannot be one
 */
export function s3Blobs({ maxBytes = DEFAULT_MAX_BYTES, ...place }: S3Options): ObjectBlobStore {
  return new ObjectBlobStore(new S3Objects(new S3Client(place)), { maxBytes });
}
