import { defineWebSocketHelper, type UpgradeWebSocket, type WSContext } from "hono/ws";

export interface OpenSockets {
  /** The runtime's own, with its sockets counted. */
  upgradeWebSocket: UpgradeWebSocket;
  /** Says 1001, going away, to every socket; those that have not answered after `graceMs` are ended. */
  close(graceMs: number): Promise<void>;
}

/** Keeps hold of every open socket, so that a server that stops can say so to each of them. */
export function openSockets(upgrade: UpgradeWebSocket): OpenSockets {
  // By the runtime's own object: on Bun every event comes with a new context.
  const open = new Map<unknown, WSContext>();
  let wake = (): void => {};
  let closing = false;

  const upgradeWebSocket = defineWebSocketHelper((c, events) =>
    upgrade(c, {
      ...events,
      onOpen(event, ws) {
        open.set(ws.raw, ws);
        events.onOpen?.(event, ws);
        if (closing) goAway(ws);
      },
      onClose(event, ws) {
        open.delete(ws.raw);
        if (open.size === 0) wake();
        events.onClose?.(event, ws);
      },
    }),
  );

  async function close(graceMs: number): Promise<void> {
    closing = true;
    for (const ws of open.values()) goAway(ws);
    if (open.size === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, graceMs);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    for (const { raw } of open.values()) terminate(raw);
  }

  return { upgradeWebSocket, close };
}

function goAway(ws: WSContext): void {
  ws.close(1001, "the server is going away");
}

function terminate(raw: unknown): void {
  if (typeof raw === "object" && raw !== null && "terminate" in raw && typeof raw.terminate === "function")
    raw.terminate();
}
