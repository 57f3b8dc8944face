import type { AddressInfo } from "node:net";
import { upgradeWebSocket } from "@hono/node-server";
import { closing } from "../closing.ts";
import { nodeServer } from "../node-server.ts";
import { openSockets } from "../open-sockets.ts";
import type { Serve } from "./serve.ts";

export const serve: Serve = async (makeApp, { host, port, pingMs }) => {
  const sockets = openSockets(upgradeWebSocket, { pingMs });
  const server = nodeServer(makeApp(sockets.upgradeWebSocket));
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
