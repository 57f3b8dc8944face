import type { Hono } from "hono";
import type { UpgradeWebSocket } from "hono/ws";
import type { Env } from "../context.ts";

/** Makes the app for a runtime's own way of opening sockets. */
export type MakeApp = (upgradeWebSocket: UpgradeWebSocket) => Hono<Env>;

export interface Listening {
  /** The real one, if 0 was asked for. */
  port: number;
  /**
   * Stops accepting, says 1001 to every socket, lets what is under way end for 3 s, and cuts the rest where the
   * runtime can. Idempotent.
   */
  close(): Promise<void>;
}

export interface Address {
  host: string;
  port: number;
  /** How often the clients of sockets are pinged; default 15 s. */
  pingMs?: number;
}

/** What each runtime's entry exports. Rejects if the port is taken. */
export type Serve = (makeApp: MakeApp, address: Address) => Promise<Listening>;
