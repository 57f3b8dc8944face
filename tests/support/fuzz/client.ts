import { Agent, type IncomingMessage, request } from "node:http";
import { connect } from "node:net";
import type { FuzzRequest } from "./requests.ts";

/** How long a request may take that should end: a second, and what a busy machine adds to it. */
const DEADLINE_MS = 15_000;

export interface FuzzReply {
  /** 0 if the connection was ended without one. */
  status: number;
  /** Of its header what names things that were made, and its body. */
  text: string;
}

/** Sends requests over connections that are kept. */
export class KeptConnections {
  readonly #agent: Agent;
  readonly #port: number;

  constructor(port: number, many: number) {
    this.#port = port;
    this.#agent = new Agent({ keepAlive: true, maxSockets: many });
  }

  /** @throws Error if there is no end of the reply in time; an event stream is left after its beginning */
  send({ method, path, headers, body }: FuzzRequest): Promise<FuzzReply> {
    return new Promise((resolve, reject) => {
      const hangs = setTimeout(() => {
        reject(new Error("no answer in time"));
        sent.destroy();
      }, DEADLINE_MS);
      const end = (reply: FuzzReply) => {
        clearTimeout(hangs);
        resolve(reply);
      };
      const length = body === undefined ? {} : { "Content-Length": String(body.byteLength) };
      const options = { port: this.#port, host: "127.0.0.1", agent: this.#agent, method, path };
      const connection: Record<string, string> = headers.Upgrade === undefined ? {} : { Connection: "Upgrade" };
      const sent = request({ ...options, headers: { Host: "localhost", ...headers, ...length, ...connection } });
      // Refused before all of it was read, which is an answer too.
      sent.on("error", () => end({ status: 0, text: "" }));
      sent.on(
        "response",
        (response) => void textOf(response).then((text) => end({ status: response.statusCode!, text })),
      );
      sent.end(body);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

async function textOf(response: IncomingMessage): Promise<string> {
  if (/event-stream/.test(response.headers["content-type"] ?? "")) {
    response.destroy();
    return "";
  }
  const { location = "", "millrace-document": document = "" } = response.headers;
  const chunks: Uint8Array[] = [Buffer.from(`${location}\n/v1/documents/${document}\n`)];
  try {
    for await (const chunk of response) chunks.push(chunk as Uint8Array);
  } catch {
    // Cut after its head.
  }
  return Buffer.concat(chunks).toString();
}

/** A request as bytes. */
export function bytesOf({ method, path, headers, body = Buffer.alloc(0) }: FuzzRequest): Buffer {
  const all = { Host: "localhost", ...headers, "Content-Length": String(body.byteLength) };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`);
  return Buffer.concat([Buffer.from([`${method} ${path} HTTP/1.1`, ...lines, "", ""].join("\r\n"), "latin1"), body]);
}

/** How long what is not complete may be waited for by the server before its sender ends it. */
const SILENCE_MS = 1_500;
/** How long an answer may have more to it. */
const MORE_MS = 50;

/**
 * Sends bytes over a connection of its own, which is half closed when there was an answer, or none for a while, and gives all that
 * comes back. Node answers nothing any more to a request that it has not answered by then.
 *
 * @throws Error if the server does not end it in time
 */
export function sendBytes(port: number, parts: readonly Uint8Array[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    let text = "";
    const hangs = setTimeout(() => {
      reject(new Error(`the connection was not ended in time, after ${JSON.stringify(text.slice(0, 500))}`));
      socket.destroy();
    }, DEADLINE_MS);
    let ending = setTimeout(() => socket.end(), SILENCE_MS);
    socket.on("error", () => {});
    socket.setEncoding("latin1").on("data", (data: string) => {
      if (text.length < 100_000) text += data;
      clearTimeout(ending);
      ending = setTimeout(() => socket.end(), MORE_MS);
      // What goes on for good was answered.
      if (/content-type: text\/event-stream/i.test(text)) socket.destroy();
    });
    socket.once("close", () => {
      clearTimeout(hangs);
      clearTimeout(ending);
      resolve(text);
    });
    for (const part of parts) socket.write(part);
  });
}

export function statusesOf(text: string): number[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
}
