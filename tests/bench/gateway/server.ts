// The gateway of the bench, in a process of its own.
import { FsBlobStore } from "../../../engine/blobs/fs.ts";
import { connect } from "../../../engine/index.ts";
import { openDoor } from "../../../gateway/access/open-door.ts";
import { createApp } from "../../../gateway/app.ts";
import { serve } from "../../../gateway/entry/node.ts";
import { profiled } from "../profile.ts";
import { talk, work } from "./definitions.ts";
import { answersMemory } from "./processes.ts";

const [, , url, dir] = process.argv;
const millrace = await connect({ url: url!, workflows: [talk, work], blobs: new FsBlobStore(`${dir}/blobs`) });
const limits = { stallMs: 3_600_000 };
const listening = await serve((upgradeWebSocket) => createApp({ millrace, door: openDoor, upgradeWebSocket, limits }), {
  host: "127.0.0.1",
  port: 0,
  // Those that stall answer no ping either.
  pingMs: 3_600_000,
});
answersMemory(await profiled("gateway"));
process.send!({ kind: "listening", port: listening.port, rss: process.memoryUsage.rss() });
