import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createAdaptorServer, upgradeWebSocket } from "@hono/node-server";
import { WebSocketServer } from "ws";
import { closing } from "../closing.ts";
import { MAX_PAYLOAD } from "../limits.ts";
import { openSockets } from "../open-sockets.ts";
import type { Serve } from "./serve.ts";

/** Headers come within 10 s; a body may take as long as it keeps coming. Peers that vanished are found by TCP. */
const SERVER_OPTIONS = {
  headersTimeout: 10_000,
  requestTimeout: 0,
  connectionsCheckingInterval: 5_000,
  keepAlive: true,
  keepAliveInitialDelay: 30_000,
};
/** A connection on which nothing moves for so long is dropped: above the longest wait and the heartbeat of a stream. */
const IDLE_MS = 120_000;

export const serve: Serve = async (makeApp, { host, port, pingMs }) => {
  const sockets = openSockets(upgradeWebSocket, { pingMs });
  const server = createAdaptorServer({
    fetch: makeApp(sockets.upgradeWebSocket).fetch,
    serverOptions: SERVER_OPTIONS,
    websocket: { server: new WebSocketServer({ noServer: true, maxPayload: MAX_PAYLOAD, perMessageDeflate: false }) },
  }) as Server;
  server.setTimeout(IDLE_MS);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(port, host, () => resolve());
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: closing(
      sockets,
      () => new Promise((resolve) => server.close(resolve)),
      () => server.closeAllConnections(),
    ),
  };
};
