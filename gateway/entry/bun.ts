import { upgradeWebSocket, websocket } from "hono/bun";
import { closing } from "../closing.ts";
import { MAX_PAYLOAD, PING_MS } from "../limits.ts";
import { openSockets } from "../open-sockets.ts";
import type { Serve } from "./serve.ts";

export const serve: Serve = async (makeApp, { host, port, pingMs = PING_MS }) => {
  const sockets = openSockets(upgradeWebSocket);
  const app = makeApp(sockets.upgradeWebSocket);
  const server = Bun.serve({
    hostname: host,
    port,
    fetch: (request, server) => app.fetch(request, server),
    // It pings by itself, and ends a socket that has not answered for so many seconds.
    websocket: { ...websocket, maxPayloadLength: MAX_PAYLOAD, idleTimeout: (2 * pingMs) / 1_000 },
    // The app counts bodies itself; Bun would end them at 128 MB, and what is idle after 10 s.
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    idleTimeout: 120,
  });
  return {
    port: server.port ?? port,
    close: closing(
      sockets,
      () => server.stop(),
      () => server.stop(true),
    ),
  };
};
