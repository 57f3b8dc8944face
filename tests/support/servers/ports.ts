import { createServer } from "node:net";

/** Below those that systems give to outgoing connections (32,768 on Linux, 49,152 elsewhere), and the bus of a cluster with it. */
const FROM = 12_000;
const TO = 22_000;
/** Nodes of a cluster talk to each other at a port that is this much higher. */
const BUS = 10_000;
const ATTEMPTS = 100;

const given = new Set<number>();

/**
 * A port of 127.0.0.1 for a server that keeps it while it is down: no outgoing connection takes it meanwhile. The one that
 * is 10,000 higher is free too, and neither was given to this process before.
 */
export async function serverPort(): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const port = FROM + Math.floor(Math.random() * (TO - FROM));
    if (given.has(port)) continue;
    given.add(port);
    if ((await isFree(port)) && (await isFree(port + BUS))) return port;
  }
  throw new Error(`Of ${ATTEMPTS} ports of 127.0.0.1 from ${FROM} to ${TO - 1} none was free.`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
