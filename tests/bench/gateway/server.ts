// The gateway of the bench, in a process of its own.
import { FsBlobStore } from "../../../engine/blobs/fs.ts";
import { connect } from "../../../engine/index.ts";
import { openDoor } from "../../../gateway/access/open-door.ts";
import { createApp } from "../../../gateway/app.ts";
import { serve } from "../../../gateway/entry/node.ts";
import { profiled } from "../profile.ts";
import { talk, work } from "./definitions.ts";

const [, , url, dir] = process.argv;
const millrace = await connect({ url: url!, workflows: [talk, work], blobs: new FsBlobStore(`${dir}/blobs`) });
const limits = { stallMs: 3_600_000 };
const listening = await serve((upgradeWebSocket) => createApp({ millrace, door: openDoor, upgradeWebSocket, limits }), {
  host: "127.0.0.1",
  port: 0,
  // Those that stall answer no ping either.
  pingMs: 3_600_000,
});
let most = 0;
setInterval(() => {
  most = Math.max(most, process.memoryUsage.rss());
}, 20);
const stopProfile = await profiled("gateway");
process.on("message", async () => {
  await stopProfile();
  const { user, system } = process.cpuUsage();
  process.send!({ kind: "memory", rss: process.memoryUsage.rss(), most, cpuS: (user + system) / 1e6 });
  most = 0;
});
process.send!({ kind: "listening", port: listening.port, rss: process.memoryUsage.rss() });
