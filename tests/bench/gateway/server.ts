// The gateway of the bench, in a process of its own.
import { connect } from "../../../engine/index.ts";
import { openDoor } from "../../../gateway/access/open-door.ts";
import { createApp } from "../../../gateway/app.ts";
import { serve } from "../../../gateway/entry/node.ts";
import { talk } from "./definitions.ts";

const millrace = await connect({ url: process.argv[2]!, workflows: [talk] });
const limits = { stallMs: 3_600_000 };
const listening = await serve((upgradeWebSocket) => createApp({ millrace, door: openDoor, upgradeWebSocket, limits }), {
  host: "127.0.0.1",
  port: 0,
  // Those that stall answer no ping either.
  pingMs: 3_600_000,
});
process.on("message", () => {
  const { user, system } = process.cpuUsage();
  process.send!({ kind: "memory", rss: process.memoryUsage.rss(), cpuS: (user + system) / 1e6 });
});
process.send!({ kind: "listening", port: listening.port, rss: process.memoryUsage.rss() });
