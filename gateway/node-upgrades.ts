import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";

/** How long a socket that the server has ended waits for its client to do so too. */
const ENDING_MS = 5_000;
const REFUSAL = JSON.stringify({
  ...{ type: "urn:millrace:problem:upgrade", title: "Bad Request", status: 400 },
  detail: "The only protocol that a connection can be upgraded to here is a WebSocket's.",
});

/** Whether a request asks for a WebSocket. One that asks for another protocol is served without (RFC 9110, 7.8). */
export function isToWebSocket({ headers }: Pick<IncomingMessage, "headers">): boolean {
  return headers.upgrade?.toLowerCase() === "websocket";
}

/**
 * Node lets go of a connection that is to be upgraded, with all its timeouts, and the adaptor answers only those that ask for a
 * WebSocket: this ends the others, which a Node that knows no `shouldUpgradeCallback` hands over too, and those that were refused.
 */
export function endUpgrades(server: Server): void {
  const [adaptor] = server.listeners("upgrade");
  server.removeAllListeners("upgrade");
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.once("finish", () => {
      const timer = setTimeout(() => socket.destroy(), ENDING_MS);
      socket.once("close", () => clearTimeout(timer));
    });
    if (isToWebSocket(request)) return adaptor?.call(server, request, socket, head);
    socket.on("error", () => socket.destroy());
    const lines = ["HTTP/1.1 400 Bad Request", "Connection: close", "Content-Type: application/problem+json"];
    socket.end([...lines, `Content-Length: ${REFUSAL.length}`, "", REFUSAL].join("\r\n"));
  });
}

/** A reply that does not become a socket is sent without its body: what is behind that is let go of. */
export async function withoutBody(reply: Response | Promise<Response>): Promise<Response> {
  const response = await reply;
  await response.body?.cancel();
  return response;
}
