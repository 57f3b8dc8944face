import type { WSContext } from "hono/ws";
import type { WatchMessage } from "../../engine/index.ts";
import type { Caller } from "../access/caller.ts";
import type { Gateway } from "../context.ts";
import { type Problem, ProblemError } from "../problem.ts";
import { CLOSE } from "./close-codes.ts";
import { runCursor } from "./resume.ts";
import { textOf } from "./text.ts";

/** How often a full socket is looked at: there is no event for its getting empty on every runtime. */
const DRAIN_POLL_MS = 25;

/** What a message of a socket is about, where it is about one of several: also the signal, and the client's own id for it. */
export type About = { run?: string; workflow?: string; all?: true; name?: string; id?: string };

/**
 * What a client's socket is to those who write to it. Nothing that has a number is dropped: what it cannot take waits, and then it
 * is closed. Its client is told when the gateway has lost Redis, and when it is back.
 */
export class LiveSocket {
  readonly #ws: WSContext;
  readonly #gateway: Gateway;
  readonly #tenant: string;
  readonly #gone = new AbortController();
  readonly #sent: (message: object) => void;
  #drained: Promise<void> | undefined;

  constructor(ws: WSContext, gateway: Gateway, caller: Caller) {
    this.#ws = ws;
    this.#gateway = gateway;
    this.#tenant = caller.tenant;
    this.#sent = gateway.metrics.opened("websocket", this.signal);
    const revoke = () => this.close(CLOSE.refused, "the caller is no longer let in");
    const forget = gateway.millrace.onConnection((isConnected) => this.#notice(isConnected));
    const held = caller.hold();
    this.signal.addEventListener("abort", () => {
      forget();
      held.signal.removeEventListener("abort", revoke);
      held.release();
    });
    held.signal.addEventListener("abort", revoke);
    if (held.signal.aborted) revoke();
  }

  /** Aborted when the socket is closed, by whichever side. */
  get signal(): AbortSignal {
    return this.#gone.signal;
  }

  /**
   * Writes a run's events to the socket until it has ended, the socket is closed or `signal` is aborted.
   *
   * @throws as `Millrace.follow` does
   */
  async follow(run: string, after: string | undefined, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const take = (message: WatchMessage): boolean => {
      this.#ws.send(textOf(message));
      this.#sent(message);
      if (!this.#isFull()) return true;
      this.#drain(`slow reader; resume ${run} after ${runCursor(message, after)}`).then(() => following.more());
      return false;
    };
    const following = this.#gateway.millrace.follow(run, { tenant: this.#tenant, after, take });
    const stop = () => following.stop();
    signal.addEventListener("abort", stop);
    try {
      await following.ended;
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  /**
   * Writes messages to the socket until they end, the socket is closed or `signal` is aborted.
   *
   * @param resume says where to go on after a message, for the client of a socket that is closed because it is full
   * @throws what the messages throw
   */
  async feed<T extends object>(
    messages: AsyncIterable<T>,
    signal: AbortSignal,
    resume: (last: T | undefined) => string,
  ): Promise<void> {
    let last: T | undefined;
    for await (const message of messages) {
      while (this.#isFull() && !signal.aborted) await this.#drain(`slow reader; ${resume(last)}`);
      if (signal.aborted) return;
      this.#ws.send(textOf(message));
      this.#sent(message);
      last = message;
    }
  }

  /** Writes one message of no feed, once there is room for it. */
  async tell(message: object): Promise<void> {
    while (this.#isFull() && !this.signal.aborted)
      await this.#drain("slow reader; resume each run after its last cursor");
    if (!this.signal.aborted) this.#ws.send(JSON.stringify(message));
  }

  /** Answers a client that asks whether the connection still is one; one that does not read sees by the silence. */
  pong(): void {
    if (!this.signal.aborted && !this.#isFull()) this.#ws.send(JSON.stringify({ type: "pong" }));
  }

  /** An error that the client is told of. */
  refuse(error: ProblemError, about: About = {}): void {
    if (this.signal.aborted) return;
    if (this.#isFull()) {
      this.close(CLOSE.slow, "slow reader; resume each run after its last cursor");
      return;
    }
    const retryAfter = Number(error.headers["Retry-After"]);
    const problem: Problem = { ...error.toProblem(), ...(retryAfter > 0 ? { retryAfter } : {}), ...about };
    this.#ws.send(JSON.stringify({ type: "error", problem }));
  }

  /**
   * The text of a client's message.
   *
   * @throws ProblemError 400 for a binary one
   */
  textOf(data: unknown): string | undefined {
    const size = typeof data === "string" ? utf8Length(data) : data instanceof ArrayBuffer ? data.byteLength : 0;
    if (size > this.#gateway.limits.messageBytes) {
      this.close(CLOSE.tooLarge, `a message has ${this.#gateway.limits.messageBytes} bytes at the most`);
      return undefined;
    }
    if (typeof data === "string") return data;
    throw new ProblemError(400, "malformed_message", "Messages are text.");
  }

  close(code: number, reason: string): void {
    if (this.signal.aborted) return;
    this.closed();
    this.#ws.close(code, reason);
  }

  /** The runtime says that it is closed. */
  closed(): void {
    this.#gone.abort();
  }

  /** A client that does not read now sees by its next messages, or their absence, how things are. */
  #notice(isConnected: boolean): void {
    if (!this.signal.aborted && !this.#isFull())
      this.#ws.send(JSON.stringify({ type: isConnected ? "connected" : "disconnected" }));
  }

  #isFull(): boolean {
    return bufferedBytes(this.#ws.raw) > this.#gateway.limits.socketBufferBytes;
  }

  /** Resolves when there is room, or the socket is closed because it has been full for too long. */
  #drain(reason: string): Promise<void> {
    this.#drained ??= this.#untilRoom(reason).finally(() => {
      this.#drained = undefined;
    });
    return this.#drained;
  }

  async #untilRoom(reason: string): Promise<void> {
    const deadline = Date.now() + this.#gateway.limits.stallMs;
    while (this.#isFull() && !this.signal.aborted) {
      if (Date.now() > deadline) return this.close(CLOSE.slow, reason);
      await new Promise((resolve) => setTimeout(resolve, DRAIN_POLL_MS));
    }
  }
}

/** What waits in the socket: a property by the standard, a method on Bun. */
function bufferedBytes(raw: unknown): number {
  if (typeof raw !== "object" || raw === null) return 0;
  if ("bufferedAmount" in raw) return Number(raw.bufferedAmount);
  if ("getBufferedAmount" in raw && typeof raw.getBufferedAmount === "function") return raw.getBufferedAmount();
  return 0;
}

function utf8Length(text: string): number {
  return new TextEncoder().encode(text).byteLength;
}
