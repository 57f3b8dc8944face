import type { Context } from "hono";
import { ifChanged } from "../conditional.ts";
import type { Asset } from "./built/assets.js";

let loading: Promise<typeof import("./built/assets.js") | undefined> | undefined;
/** workerd packs itself what is said to be packed, and so would do it twice; before it, others pack what it gives. */
const isUnpacked = globalThis.navigator?.userAgent === "Cloudflare-Workers";
const packed = new Map<Asset, Promise<Uint8Array<ArrayBuffer>>>();

/** What `npm ci`, or `npm run build:dashboard`, has made of the sources here; undefined where they did not. Read when it is first asked for. */
export function dashboard(): Promise<typeof import("./built/assets.js") | undefined> {
  loading ??= import("./built/assets.js").catch(() => undefined);
  return loading;
}

/** A file as the reply, packed for who takes that; 304 for who has it already. */
export async function assetResponse(c: Context, asset: Asset, headers: Record<string, string>): Promise<Response> {
  const isPacked = !isUnpacked && /\bgzip\b/.test(c.req.header("accept-encoding") ?? "");
  for (const [name, value] of Object.entries({ ...headers, Vary: "Accept-Encoding" })) c.header(name, value);
  const body = isPacked ? await gzipped(asset) : asset.text;
  const encoding: Record<string, string> = isPacked ? { "Content-Encoding": "gzip" } : {};
  return ifChanged(c, `"${asset.digest}${isPacked ? "-gzip" : ""}"`, (tag) =>
    c.body(body, 200, { ...tag, ...encoding, "Content-Type": asset.type }),
  );
}

/** Each file is packed once in the life of the process. */
function gzipped(asset: Asset): Promise<Uint8Array<ArrayBuffer>> {
  let bytes = packed.get(asset);
  if (bytes === undefined) {
    const stream = new Blob([asset.text]).stream().pipeThrough(new CompressionStream("gzip"));
    bytes = new Response(stream).arrayBuffer().then((buffer) => new Uint8Array(buffer));
    packed.set(asset, bytes);
  }
  return bytes;
}

/** What `/` shows where there are no files. */
export const NOT_BUILT = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Millrace</title></head>
<body><h1>Millrace</h1>
<p>The dashboard is not built. In the checkout, with its development packages installed, run
<code>npm run build:dashboard</code>, and start the gateway again.</p>
<p>The API is here all the same: <a href="/docs">for people</a>, <a href="/openapi.json">for programs</a>.</p>
</body></html>
`;
