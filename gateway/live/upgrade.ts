import type { Context } from "hono";
import type { WSEvents } from "hono/ws";
import type { Env, Gateway } from "../context.ts";
import { ProblemError } from "../problem.ts";

/** How long a socket may take to open. A client that leaves before is told to nobody on some runtimes. */
const OPENING_MS = 10_000;

export function isUpgrade(c: Context<Env>): boolean {
  return c.req.header("upgrade")?.toLowerCase() === "websocket";
}

/** @throws ProblemError 400 for a handshake that the runtime refuses, 429 if there are too many sockets */
export async function upgrade(c: Context<Env>, gateway: Gateway, events: WSEvents): Promise<Response> {
  if (!isHandshake(c)) throw badHandshake();
  const leave = gateway.open.enter(c.get("caller"));
  const opening = setTimeout(leave, OPENING_MS);
  const counted: WSEvents = {
    ...events,
    onOpen(event, ws) {
      clearTimeout(opening);
      events.onOpen?.(event, ws);
    },
    onClose(event, ws) {
      clearTimeout(opening);
      leave();
      events.onClose?.(event, ws);
    },
  };
  try {
    return await gateway.upgradeWebSocket(c, counted);
  } catch (cause) {
    clearTimeout(opening);
    leave();
    throw badHandshake(cause);
  }
}

/** Seen to here, so that what no runtime takes is not counted first (RFC 6455, 4.2.1). */
function isHandshake(c: Context<Env>): boolean {
  const key = c.req.header("sec-websocket-key") ?? "";
  const connection = c.req.header("connection") ?? "";
  return (
    /^[+/0-9A-Za-z]{22}==$/.test(key) &&
    c.req.header("sec-websocket-version") === "13" &&
    connection.split(",").some((option) => option.trim().toLowerCase() === "upgrade")
  );
}

/** What is answered to a handshake that is none. */
export function badHandshake(cause?: unknown): ProblemError {
  return new ProblemError(400, "bad_handshake", "This is not the beginning of a WebSocket.", { cause });
}
