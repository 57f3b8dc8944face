// The gateway of the bench, in a process of its own: SET of workflows, the Redis at URL, NAMESPACE, a directory for documents.
import { FsBlobStore } from "../../../engine/blobs/fs.ts";
import { connect } from "../../../engine/index.ts";
import { openDoor } from "../../../gateway/access/open-door.ts";
import { createApp } from "../../../gateway/app.ts";
import type { Serve } from "../../../gateway/entry/serve.ts";
import { serves } from "../support/child.ts";
import { definitionsOf } from "../support/definitions.ts";

const [, , set, url, namespace, dir] = process.argv as unknown as [string, string, string, string, string, string];
const runtime = "Deno" in globalThis ? "deno" : process.versions.bun === undefined ? "node" : "bun";
const { serve } = (await import(`../../../gateway/entry/${runtime}.ts`)) as { serve: Serve };
const workflows = definitionsOf(set);
const millrace = await connect({ url, namespace, workflows, blobs: new FsBlobStore(`${dir}/blobs`) });
const limits = { stallMs: 3_600_000 };
const listening = await serve((upgradeWebSocket) => createApp({ millrace, door: openDoor, upgradeWebSocket, limits }), {
  host: "127.0.0.1",
  port: 0,
  // Those that stall answer no ping either; Bun takes no longer time.
  pingMs: runtime === "bun" ? 120_000 : 3_600_000,
});
serves({}, { port: listening.port, rss: process.memoryUsage.rss() });
