import { once } from "node:events";
import { connect } from "node:net";
import type { Redis } from "ioredis";
import { serversOf } from "./redis-client.ts";

/** What scripts do: each command with its arguments, of those that name a text, on every server. Until `stop` is called. */
export async function monitorScripts(redis: Redis, about: string): Promise<{ stop(): Promise<string[][]> }> {
  const servers = await serversOf(redis, "master");
  const monitors = await Promise.all(servers.map((server) => monitorServer(server, about)));
  return { stop: async () => (await Promise.all(monitors.map((stop) => stop()))).flat() };
}

async function monitorServer(server: Redis, about: string): Promise<() => Promise<string[][]>> {
  const socket = connect(server.options.port!, server.options.host).setEncoding("utf8");
  await once(socket, "connect");
  let text = "";
  let heard = Promise.withResolvers<void>();
  socket.on("data", (chunk: string) => {
    text += chunk;
    heard.resolve();
    heard = Promise.withResolvers();
  });
  const until = async (wanted: string) => {
    while (!text.includes(wanted)) await heard.promise;
  };
  socket.write("MONITOR\r\n");
  await until("+OK");
  return async () => {
    const marker = `the end of ${about}`;
    await server.echo(marker);
    await until(marker);
    socket.destroy();
    const lines = text.split("\r\n").filter((line) => line.includes(" lua] ") && line.includes(about));
    return lines.map((line) => [...line.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, arg]) => arg!));
  };
}
