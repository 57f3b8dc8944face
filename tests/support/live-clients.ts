import { afterAll, expect } from "vitest";
import { WebSocket } from "ws";
import { misfit } from "./described-messages.ts";

// biome-ignore lint/suspicious/noExplicitAny: what a test expects of it is what the test is about
type Message = any;

const TIMEOUT_MS = 10_000;

/** What came to any client of the file, and is not described. */
const misfits: string[] = [];
afterAll(() => expect(misfits).toEqual([]));

/** What came, and a wait for what is to come. */
class Received {
  readonly messages: Message[] = [];
  readonly #url: string;
  readonly #waiting = new Set<() => void>();

  constructor(url: string) {
    this.#url = url;
  }

  protected add(message: Message): void {
    this.messages.push(message);
    const wrong = misfit(this.#url, message);
    if (wrong !== undefined && misfits.length < 10) misfits.push(wrong);
    for (const wake of this.#waiting) wake();
  }

  /** The first message that fits, past or to come. @throws Error after 10 s */
  async first(fits: (message: Message) => boolean): Promise<Message> {
    const deadline = Date.now() + TIMEOUT_MS;
    for (;;) {
      const found = this.messages.find(fits);
      if (found !== undefined) return found;
      if (Date.now() > deadline) throw new Error(`not among ${JSON.stringify(this.messages)}`);
      await new Promise<void>((resolve) => {
        const wake = () => {
          clearTimeout(timer);
          this.#waiting.delete(wake);
          resolve();
        };
        const timer = setTimeout(wake, deadline - Date.now());
        this.#waiting.add(wake);
      });
    }
  }

  ofType(type: string): Promise<Message> {
    return this.first((message) => message.type === type);
  }
}

/** A WebSocket that keeps what comes. */
export class TestSocket extends Received {
  readonly socket: WebSocket;
  /** The status of the reply that came instead of a socket. */
  readonly refused: Promise<number>;
  readonly opened: Promise<void>;
  readonly closed: Promise<{ code: number; reason: string }>;

  constructor(url: string, headers: Record<string, string> = {}) {
    super(url);
    this.socket = new WebSocket(url.replace(/^http/, "ws"), { headers });
    this.socket.on("message", (data) => this.add(JSON.parse(String(data))));
    this.socket.on("error", () => {});
    this.opened = new Promise((resolve) => this.socket.once("open", () => resolve()));
    this.refused = new Promise((resolve) =>
      this.socket.once("unexpected-response", (request, response) => {
        request.destroy();
        resolve(response.statusCode ?? 0);
      }),
    );
    this.closed = new Promise((resolve) =>
      this.socket.once("close", (code, reason) => resolve({ code, reason: String(reason) })),
    );
  }

  send(message: unknown): void {
    this.socket.send(typeof message === "string" || message instanceof Uint8Array ? message : JSON.stringify(message));
  }

  /** Stops reading, so that what is sent to it stays with the sender. */
  pause(): void {
    this.socket.pause();
  }
}

/** Server-Sent Events, read as a browser does: comments apart, ids kept. */
export class TestStream extends Received {
  readonly status: number;
  readonly headers: Headers;
  readonly comments: string[] = [];
  /** The id and type of every event. */
  readonly frames: { id: string; event: string }[] = [];
  /** Resolves when the server has ended it, or the test has. */
  readonly ended: Promise<void>;
  readonly #abort: AbortController;

  private constructor(url: string, response: Response, abort: AbortController) {
    super(url);
    this.status = response.status;
    this.headers = response.headers;
    this.#abort = abort;
    this.ended = this.#read(response);
  }

  static async open(url: string, init: RequestInit = {}): Promise<TestStream> {
    const abort = new AbortController();
    return new TestStream(url, await fetch(url, { ...init, signal: abort.signal }), abort);
  }

  cut(): void {
    this.#abort.abort();
  }

  async #read(response: Response): Promise<void> {
    let text = "";
    try {
      for await (const chunk of (response.body ?? new Blob().stream()).pipeThrough(new TextDecoderStream())) {
        text += chunk;
        const frames = text.split("\n\n");
        text = frames.pop()!;
        for (const frame of frames) this.#take(frame);
      }
    } catch (error) {
      if (!this.#abort.signal.aborted) throw error;
    }
  }

  #take(frame: string): void {
    if (frame.startsWith(":")) {
      this.comments.push(frame);
      return;
    }
    const fields = new Map(frame.split("\n").map((line) => line.split(/: (.*)/s, 2) as [string, string]));
    this.frames.push({ id: fields.get("id") ?? "", event: fields.get("event") ?? "" });
    this.add(JSON.parse(fields.get("data") ?? ""));
  }
}
