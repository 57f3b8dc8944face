import type { Server } from "node:http";
import { createAdaptorServer } from "@hono/node-server";
import type { Hono } from "hono";
import { WebSocketServer } from "ws";
import type { Env } from "./context.ts";
import { MAX_PAYLOAD } from "./limits.ts";
import { endUpgrades, isToWebSocket, withoutBody } from "./node-upgrades.ts";

/** Headers come within 10 s; a body may take as long as it keeps coming. Peers that vanished are found by TCP. */
const SERVER_OPTIONS = {
  headersTimeout: 10_000,
  requestTimeout: 0,
  connectionsCheckingInterval: 5_000,
  keepAlive: true,
  keepAliveInitialDelay: 30_000,
  shouldUpgradeCallback: isToWebSocket,
};
/** A connection on which nothing moves for so long is dropped: above the longest wait and the heartbeat of a stream. */
const IDLE_MS = 120_000;

/** The server that Node's entry serves an app with. It does not listen yet. */
export function nodeServer(app: Hono<Env>): Server {
  const server = createAdaptorServer({
    // What is to be upgraded has nothing to be answered with.
    fetch: (request, env) =>
      env.outgoing === undefined ? withoutBody(app.fetch(request, env)) : app.fetch(request, env),
    serverOptions: SERVER_OPTIONS,
    websocket: { server: new WebSocketServer({ noServer: true, maxPayload: MAX_PAYLOAD, perMessageDeflate: false }) },
  }) as Server;
  endUpgrades(server);
  server.setTimeout(IDLE_MS);
  return server;
}
