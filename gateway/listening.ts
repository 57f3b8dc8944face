import type { Hono } from "hono";
import type { UpgradeWebSocket } from "hono/ws";
import type { Env } from "./context.ts";
import type { OpenSockets } from "./open-sockets.ts";

/** Makes the app for a runtime's own way of opening sockets. */
export type MakeApp = (upgradeWebSocket: UpgradeWebSocket) => Hono<Env>;

export interface Listening {
  /** The real one, if 0 was asked for. */
  port: number;
  /**
   * Stops accepting, says 1001 to every socket, lets what is under way end for `CLOSE_MS`, and cuts the rest
   * where the runtime can. Idempotent.
   */
  close(): Promise<void>;
}

/** What each runtime's entry exports. Rejects if the port is taken. */
export type Serve = (makeApp: MakeApp, address: { host: string; port: number }) => Promise<Listening>;

/** How long requests and sockets that are under way may take to end when the server stops. */
const CLOSE_MS = 3_000;

/** The largest message that a runtime hands to the app, whose own limit is lower and is explained to the client. */
export const MAX_PAYLOAD = 131_072;

/**
 * @param stop stops accepting, and resolves when nothing is under way any more
 * @param cut ends what is under way
 */
export function closing(sockets: OpenSockets, stop: () => Promise<unknown>, cut: () => unknown): Listening["close"] {
  let closed: Promise<void> | undefined;
  const close = async () => {
    const stopped = stop();
    const timer = setTimeout(cut, CLOSE_MS);
    await sockets.close(CLOSE_MS);
    await stopped;
    clearTimeout(timer);
  };
  return () => {
    closed ??= close();
    return closed;
  };
}
