import { type BlobsPlace, badBlobs } from "./blobs/place.ts";
import type { OpenBlobsOptions, OpenedBlobs } from "./open-blobs.ts";

/** Where blobs are that need neither a file system nor a package of their own to be reached. */
export type EdgePlace = Extract<BlobsPlace, { scheme: "redis" | "s3" }>;

/** As `openBlobs`, of stores that can be had where there is nothing but connections and `fetch`. */
export async function openEdgeBlobs(place: EdgePlace, { env = {}, redis }: OpenBlobsOptions): Promise<OpenedBlobs> {
  if (place.scheme === "redis") {
    if (redis === undefined) throw badBlobs("redis: needs a Redis.");
    const { redisBlobs } = await import("./redis-blobs.ts");
    const blobs = await redisBlobs({ ...redis, maxBytes: place.maxBytes });
    return { blobs, close: () => blobs.close() };
  }
  const { s3Blobs } = await import("./blobs/s3.ts");
  const { scheme: _, region = env.AWS_REGION, ...rest } = place;
  const [accessKeyId, secretAccessKey] = [env.AWS_ACCESS_KEY_ID, env.AWS_SECRET_ACCESS_KEY];
  if (!accessKeyId || !secretAccessKey) throw badBlobs("s3: needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.");
  const credentials = { accessKeyId, secretAccessKey, sessionToken: env.AWS_SESSION_TOKEN || undefined };
  return { blobs: s3Blobs({ ...rest, region, credentials }), close() {} };
}
