import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { redisUrl } from "./redis.ts";

/** A TCP proxy before a Redis whose connections can fall silent: open, but nothing comes through. For `await using`. */
export interface SilentProxy extends AsyncDisposable {
  readonly url: string;
  /** How many connections were made so far. */
  readonly connections: number;
  /** No byte passes any more in either direction, over those that are there or those that will be made. */
  silence(which: "existing" | "new"): void;
}

export async function silentProxy(url = redisUrl): Promise<SilentProxy> {
  const { hostname, port } = new URL(url);
  const sockets = new Set<Socket>();
  const silent = new Set<Socket>();
  let connections = 0;
  let newAreSilent = false;
  const server = createServer((near) => {
    connections += 1;
    const far = connect(Number(port), hostname);
    if (newAreSilent) silent.add(near);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on("data", (bytes) => void (silent.has(near) || to.write(bytes)));
      from.on("error", () => to.destroy());
      from.on("close", () => {
        sockets.delete(from);
        to.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get connections() {
      return connections;
    },
    silence(which) {
      if (which === "new") newAreSilent = true;
      else for (const socket of sockets) silent.add(socket);
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
