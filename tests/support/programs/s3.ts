// A server that speaks the protocol of S3: s3rver, and what it lacks. It checks no signatures of version 4, gives up no
// upload in parts, answers before an object is whole, and is confused by requests that change one folder at the same time.
import { createReadStream, existsSync } from "node:fs";
import { rm, stat } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import S3rver, { type S3Object } from "s3rver";
import { isSignedBy } from "../servers/signature-v4.ts";

const [directory = "", bucket = "", secret = ""] = process.argv.slice(2);

const server = new S3rver({
  ...{ directory, address: "127.0.0.1", port: 0, silent: true, vhostBuckets: false },
  configureBuckets: [{ name: bucket }],
});
const { store } = server;

let last: Promise<unknown> = Promise.resolve();
server.middleware.unshift(
  async ({ res }, next) => {
    const turn = last.then(next);
    // It waits for ever for the body of a request whose sender has gone.
    const gone = new Promise((resolve) => res.once("close", resolve));
    last = Promise.race([turn.catch(() => {}), gone]);
    await turn;
  },
  async (ctx, next) => {
    if (isSignedBy(secret, { method: ctx.method, target: ctx.req.url, headers: ctx.req.headers })) return next();
    ctx.status = 403;
    ctx.body = "<Error><Code>SignatureDoesNotMatch</Code><Message>Not so.</Message></Error>";
  },
  async (ctx, next) => {
    const { uploadId } = ctx.query;
    if (ctx.method !== "DELETE" || typeof uploadId !== "string") return next();
    const upload = join(store.getResourcePath(bucket, undefined, "uploads"), uploadId);
    ctx.status = existsSync(upload) ? 204 : 404;
    await rm(upload, { recursive: true, force: true });
  },
);

const putObject = store.putObject.bind(store);
store.putObject = async (object) => {
  const put = await putObject(object);
  const path = store.getResourcePath(object.bucket, object.key, "object");
  while ((await stat(path)).size < put.size) await setImmediate();
  return put;
};

// It takes the last byte 0 for none.
const getObject = store.getObject.bind(store);
store.getObject = async (...asked) => {
  const [, key, range] = asked;
  const found: S3Object | null = await getObject(...asked);
  if (found?.range === undefined || range?.start !== 0 || range.end !== 0) return found;
  found.content?.destroy();
  const content = createReadStream(store.getResourcePath(bucket, key, "object"), { end: 0 });
  return Object.assign(found, { content, range: { start: 0, end: 0 } });
};

const { port } = (await server.run()) as AddressInfo;
console.log(`listening on 127.0.0.1:${port}`);
