import { defineWebSocketHelper, type UpgradeWebSocket, WSContext, type WSEvents, type WSReadyState } from "hono/ws";
import { badHandshake } from "./live/upgrade.ts";
import { bareResponse } from "./problem.ts";

/** A runtime's function that makes a socket of a request, whose response then has to be the answer to it. */
export type Upgrade = (request: Request, options: UpgradeOptions) => { response: Response; socket: WebSocket };

export interface UpgradeOptions {
  /** The first subprotocol that the client offers. */
  protocol?: string;
}

export interface LateUpgrades {
  upgradeWebSocket: UpgradeWebSocket;
  /** The last answer to a request: the runtime's, if the app has let it be a socket, and else the app's. */
  answer(request: Request, reply: Response | Promise<Response>): Promise<Response>;
}

/**
 * Sockets for a runtime that ends the whole process if anything else is answered once it was asked for one: it is asked last, when
 * nothing of the app can fail any more.
 */
export function lateUpgrades(upgrade: Upgrade): LateUpgrades {
  const wanted = new WeakMap<Request, { events: WSEvents; options: UpgradeOptions }>();
  return {
    upgradeWebSocket: defineWebSocketHelper((c, events, options: object = {}) => {
      const protocol = c.req.header("sec-websocket-protocol")?.split(",")[0]?.trim();
      wanted.set(c.req.raw, { events, options: { ...options, ...(protocol === undefined ? {} : { protocol }) } });
      return new Response(null);
    }),
    async answer(request, reply) {
      const response = await reply;
      const socket = wanted.get(request);
      if (socket === undefined || !response.ok) return response;
      try {
        const made = upgrade(request, socket.options);
        listen(made.socket, socket.events);
        return made.response;
      } catch (error) {
        // The runtime refuses a handshake that the app has not: the app is done with it.
        return bareResponse(badHandshake(error));
      }
    },
  };
}

function listen(socket: WebSocket, events: WSEvents): void {
  socket.binaryType = "arraybuffer";
  const context = new WSContext({
    raw: socket,
    get readyState() {
      return socket.readyState as WSReadyState;
    },
    // What is sent to one that has closed is nobody's failure.
    send: (data) => socket.readyState === WebSocket.OPEN && socket.send(data),
    close: (code, reason) => socket.close(code, reason),
  });
  socket.addEventListener("message", (event) => events.onMessage?.(event, context));
  socket.addEventListener("close", (event) => events.onClose?.(event, context));
  socket.addEventListener("error", (event) => events.onError?.(event, context));
  // Some runtimes give it when it is open already, and then do not say so.
  if (socket.readyState === WebSocket.OPEN) events.onOpen?.(new Event("open"), context);
  else socket.addEventListener("open", (event) => events.onOpen?.(event, context));
}
