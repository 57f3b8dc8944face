import type { Upgrade } from "../late-upgrades.ts";

/** The little of workerd that is used here: its types and Node's do not go into one program. */
declare const WebSocketPair: new () => { 0: WebSocket; 1: WebSocket & { accept(): void } };

/** Makes a socket of a request, as workerd does: one end is served here, the other one goes with the response. */
export const upgrade: Upgrade = (_, { protocol }) => {
  const { 0: client, 1: socket } = new WebSocketPair();
  socket.accept();
  const headers: Record<string, string> = protocol === undefined ? {} : { "Sec-WebSocket-Protocol": protocol };
  const init: ResponseInit & { webSocket: WebSocket } = { status: 101, webSocket: client, headers };
  return { response: new Response(null, init), socket };
};
