// What a gateway cannot do without: a channel that is heard, and each message written to the sockets of its run with `ws`.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Redis } from "ioredis";
import { type WebSocket, WebSocketServer } from "ws";
import { serves } from "../support/child.ts";

const [, , url] = process.argv;
const socketsOf = new Map<string, Set<WebSocket>>();
const server = createServer();
new WebSocketServer({ server, perMessageDeflate: false }).on("connection", (socket, { url: path }) => {
  const run = path!.split("/")[3]!;
  const sockets = socketsOf.get(run) ?? new Set();
  socketsOf.set(run, sockets.add(socket));
});
const redis = new Redis(url!);
await redis.psubscribe("bare:*");
redis.on("pmessage", (_, channel: string, text: string) => {
  for (const socket of socketsOf.get(channel.slice(5)) ?? []) {
    socket.send(text);
    if (text.includes('"run.completed"')) socket.close(1000);
  }
});
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
serves({}, { port: (server.address() as AddressInfo).port, rss: process.memoryUsage.rss() });
