import type { Redis } from "ioredis";
import { logger } from "../log.ts";

const log = logger("redis");

/** Less than any load balancer waits before it cuts a silent connection: Azure's waits for 10 minutes, some for 4. */
export const PING_EVERY_MS = 60_000;

/** How a connection is kept, for tests to shorten. */
export interface KeepAlive {
  /** How often it is pinged, in ms. */
  pingEveryMs?: number;
}

/** Pings a connection for as long as it is open, whatever else it does; each of a cluster's nodes has its own. */
export function keepAlive(redis: Redis, { pingEveryMs = PING_EVERY_MS }: KeepAlive = {}): void {
  let pinging: ReturnType<typeof setInterval> | undefined;
  // Behind a blocking read it waits for that. What it fails with, the calls that matter fail with too.
  const ping = () => redis.ping().catch((error) => log.debug("ping: {error}", { error }));
  redis.on("ready", () => {
    clearInterval(pinging);
    pinging = setInterval(ping, pingEveryMs);
  });
  redis.on("close", () => clearInterval(pinging));
}
