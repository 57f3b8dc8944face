import { once } from "node:events";
import { connect } from "node:net";

/** A request as nobody's library would send it. */
export interface RawRequest {
  /** The request line and the headers, without Host. */
  head: string[];
  chunks?: (string | Uint8Array)[];
  /** Waited for once everything is sent. */
  until?: () => Promise<unknown>;
  /** What the client does then. Default `wait`. */
  afterwards?: "wait" | "half-close" | "destroy";
}

/**
 * Sends bytes over a socket of their own and gives what comes back: up to the reply's end if it has a length, else up
 * to the end of the connection, at most 5 s.
 */
export async function rawRequest(
  port: number,
  { head, chunks = [], until, afterwards = "wait" }: RawRequest,
): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  let reply = "";
  socket.setEncoding("latin1").on("data", (data: string) => {
    reply += data;
    if (isComplete(reply)) socket.destroy();
  });
  // The server may refuse what it is still being sent.
  socket.on("error", () => socket.destroy());
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  const timer = setTimeout(() => socket.destroy(), 5_000);
  socket.write(
    `${head[0]}\r\nHost: localhost\r\n${head
      .slice(1)
      .map((line) => `${line}\r\n`)
      .join("")}\r\n`,
  );
  for (const chunk of chunks) await new Promise((resolve) => socket.write(chunk, resolve));
  await until?.();
  if (afterwards === "half-close") socket.end();
  if (afterwards === "destroy") socket.destroy();
  await closed;
  clearTimeout(timer);
  return reply;
}

export function statusOf(reply: string): number {
  return Number(/^HTTP\/1\.1 (\d{3})/.exec(reply)?.[1]);
}

/** One chunk of a chunked body. */
export function chunked(content: string): string {
  return `${Buffer.byteLength(content).toString(16)}\r\n${content}\r\n`;
}

function isComplete(reply: string): boolean {
  const end = reply.indexOf("\r\n\r\n");
  const length = /\r\ncontent-length: (\d+)/i.exec(reply)?.[1];
  return end >= 0 && length !== undefined && reply.length >= end + 4 + Number(length);
}
