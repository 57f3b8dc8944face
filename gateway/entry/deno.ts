import { closing } from "../closing.ts";
import { lateUpgrades, type Upgrade } from "../late-upgrades.ts";
import { PING_MS } from "../limits.ts";
import { openSockets } from "../open-sockets.ts";
import type { Serve } from "./serve.ts";

/** The little of Deno that is used here: its types and Node's do not go into one program. */
declare const Deno: {
  serve(
    options: { hostname: string; port: number; onListen(): void },
    handler: (request: Request) => Response | Promise<Response>,
  ): { addr: { port: number }; shutdown(): Promise<void> };
  upgradeWebSocket: Upgrade;
};

export const serve: Serve = async (makeApp, { host, port, pingMs = PING_MS }) => {
  // It pings by itself, and ends a socket that has not answered for so many seconds.
  const { upgradeWebSocket, answer } = lateUpgrades(Deno.upgradeWebSocket);
  const sockets = openSockets(upgradeWebSocket, { idleTimeout: (2 * pingMs) / 1_000 });
  const app = makeApp(sockets.upgradeWebSocket);
  // Deno has no way to end what is under way once it shuts down: it is left to the end of the process.
  const cut = Promise.withResolvers<void>();
  const server = Deno.serve({ hostname: host, port, onListen() {} }, (request) => answer(request, app.fetch(request)));
  return {
    port: server.addr.port,
    close: closing(
      sockets,
      () => Promise.race([server.shutdown(), cut.promise]),
      () => cut.resolve(),
    ),
  };
};
