import { once } from "node:events";
import { connect, type Socket } from "node:net";

/** Beginnings of requests: none of them ever ends. */
const BEGINNINGS = [
  "GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
  "POST /v1/workflows/greet/runs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9000\r\n\r\n{",
  "POST /v1/documents?name=a HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
  "POST /v1/documents HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 9000\r\n\r\n--b\r\n",
  "GET /v1/live HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n",
];
const IN_HEADERS = [0, 4];
const DRIP_MS = 1_000;
/** So that they do not all drip at once. */
const TURNS = 20;

/** Senders of requests that never end: each brings a byte a second, in its headers or its body. */
export class SlowSenders {
  /** Those whose headers do not end. */
  readonly inHeaders: readonly Socket[];
  readonly #sockets: readonly Socket[];
  readonly #timer: ReturnType<typeof setInterval>;
  #turn = 0;

  private constructor(sockets: readonly Socket[]) {
    this.#sockets = sockets;
    this.inHeaders = sockets.filter((_, i) => IN_HEADERS.includes(i % BEGINNINGS.length));
    this.#timer = setInterval(() => this.#drip(), DRIP_MS / TURNS);
  }

  static async open(port: number, count: number): Promise<SlowSenders> {
    const sockets: Socket[] = [];
    for (let i = 0; i < count; i++) {
      const socket = connect(port, "127.0.0.1");
      socket.on("error", () => {});
      sockets.push(socket);
      await once(socket, "connect");
      socket.write(BEGINNINGS[i % BEGINNINGS.length]!);
    }
    return new SlowSenders(sockets);
  }

  close(): void {
    clearInterval(this.#timer);
    for (const socket of this.#sockets) socket.destroy();
  }

  #drip(): void {
    this.#turn = (this.#turn + 1) % TURNS;
    for (let i = this.#turn; i < this.#sockets.length; i += TURNS)
      if (this.#sockets[i]!.writable) this.#sockets[i]!.write("x");
  }
}
