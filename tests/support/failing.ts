import { defineWebSocketHelper, type UpgradeWebSocket } from "hono/ws";
import type { Log } from "../../gateway/context.ts";

/** Fails in the app for requests of this id, once they are answered. */
export const failingLog: Log = {
  info(_, properties = {}) {
    if (properties.requestId === "fails") throw new Error("on purpose");
  },
  warn() {},
  error() {},
};

/** Sockets that fail for the message `fail`. */
export function failingSockets(upgradeWebSocket: UpgradeWebSocket): UpgradeWebSocket {
  return defineWebSocketHelper((c, events, options) => {
    const onMessage: typeof events.onMessage = (event, ws) => {
      if (event.data === "fail") throw new Error("on purpose");
      events.onMessage?.(event, ws);
    };
    return upgradeWebSocket(c, { ...events, onMessage }, options);
  });
}
