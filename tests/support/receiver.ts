import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { Certificates } from "./servers/certificates.ts";

export interface Posted {
  method: string;
  path: string;
  headers: Record<string, string>;
  body: string;
}

export interface ReceiverAnswer {
  status: number;
  headers?: Record<string, string>;
  body?: string;
}

/** A server of somebody else's that webhooks are sent to. For `await using`. */
export class Receiver implements AsyncDisposable {
  /** What came, in order. */
  readonly posted: Posted[] = [];
  /** How it answers; undefined: not at all. */
  answer: (posted: Posted, response: ServerResponse) => ReceiverAnswer | undefined = () => ({ status: 204 });
  readonly port: number;
  readonly #close: () => Promise<void>;

  private constructor(port: number, close: () => Promise<void>) {
    this.port = port;
    this.#close = close;
  }

  /** Listens on loopback, with TLS if certificates are given, at any free port unless one is. */
  static async start({ tls, port = 0 }: { tls?: Certificates; port?: number } = {}): Promise<Receiver> {
    let receiver: Receiver;
    const listen: RequestListener = (request, response) => void receiver.#take(request, response);
    const server =
      tls === undefined
        ? createServer(listen)
        : createTlsServer({ cert: readFileSync(tls.cert), key: readFileSync(tls.key) }, listen);
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    receiver = new Receiver((server.address() as AddressInfo).port, async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    });
    return receiver;
  }

  /** As a webhook names it. */
  url(path = "/hook", host = "127.0.0.1", scheme = "http"): string {
    return `${scheme}://${host}:${this.port}${path}`;
  }

  /** The bodies that came, parsed. */
  // biome-ignore lint/suspicious/noExplicitAny: what a test expects of it is what the test is about
  get bodies(): any[] {
    return this.posted.map(({ body }) => JSON.parse(body));
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = "";
    request.setEncoding("utf8");
    for await (const chunk of request) body += chunk;
    const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]));
    const posted = { method: request.method!, path: request.url!, headers, body };
    this.posted.push(posted);
    const answer = this.answer(posted, response);
    if (answer !== undefined) response.writeHead(answer.status, answer.headers).end(answer.body);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
  }
}
