import type { Context } from "hono";
import type { WSEvents } from "hono/ws";
import type { Env, Gateway } from "../context.ts";
import { ProblemError } from "../problem.ts";
import { demandRoom } from "./room.ts";

export function isUpgrade(c: Context<Env>): boolean {
  return c.req.header("upgrade")?.toLowerCase() === "websocket";
}

/** @throws ProblemError 400 for a handshake that the runtime refuses, 429 if there are as many sockets as there may be */
export async function upgrade(c: Context<Env>, gateway: Gateway, events: WSEvents): Promise<Response> {
  demandRoom(gateway, c.get("caller"));
  try {
    return await gateway.upgradeWebSocket(c, events);
  } catch (cause) {
    throw new ProblemError(400, "bad_handshake", "This is not the beginning of a WebSocket.", { cause });
  }
}
