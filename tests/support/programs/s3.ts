// A server that speaks the protocol of S3: s3rver, and what it lacks: an upload in parts can be given up.
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import S3rver from "s3rver";

const [directory = "", bucket = ""] = process.argv.slice(2);

const server = new S3rver({
  ...{ directory, address: "127.0.0.1", port: 0, silent: true, vhostBuckets: false },
  configureBuckets: [{ name: bucket }],
});
server.middleware.unshift(async (ctx, next) => {
  const { uploadId } = ctx.query;
  if (ctx.method !== "DELETE" || typeof uploadId !== "string") return next();
  const upload = join(server.store.getResourcePath(bucket, undefined, "uploads"), uploadId);
  ctx.status = existsSync(upload) ? 204 : 404;
  await rm(upload, { recursive: true, force: true });
});
const { port } = (await server.run()) as AddressInfo;
console.log(`listening on 127.0.0.1:${port}`);
