import type { WSContext } from "hono/ws";
import type { WatchMessage } from "../../engine/index.ts";
import type { Gateway } from "../context.ts";
import { type Problem, ProblemError } from "../problem.ts";

/** How often a full socket is looked at: there is no event for its getting empty on every runtime. */
const DRAIN_POLL_MS = 25;

/** What a client's socket is to those who write to it. Nothing is dropped: what it cannot take waits, and then it is closed. */
export class LiveSocket {
  readonly #ws: WSContext;
  readonly #gateway: Gateway;
  readonly #gone = new AbortController();
  #drained: Promise<void> | undefined;

  constructor(ws: WSContext, gateway: Gateway) {
    this.#ws = ws;
    this.#gateway = gateway;
  }

  /** Aborted when the socket is closed, by whichever side. */
  get signal(): AbortSignal {
    return this.#gone.signal;
  }

  /**
   * Writes a run's messages to the socket until they end, the socket is closed or `signal` is aborted.
   *
   * @throws what the watching throws
   */
  async feed(run: string, options: { tenant: string; after: string | undefined; signal: AbortSignal }): Promise<void> {
    const signal = AbortSignal.any([this.signal, options.signal]);
    const { tenant, after } = options;
    let last = after;
    for await (const message of this.#gateway.millrace.watch(run, { tenant, after, signal })) {
      while (this.#isFull() && !signal.aborted) await this.#drain(`slow reader; resume ${run} after ${last ?? 0}`);
      if (signal.aborted) return;
      this.#ws.send(JSON.stringify(message));
      last = cursorOf(message);
    }
  }

  /** An error that the client is told of. */
  refuse(error: ProblemError, run?: string): void {
    if (this.signal.aborted) return;
    if (this.#isFull()) {
      this.close(1013, "slow reader; resume each run after its last cursor");
      return;
    }
    const problem: Problem = { ...error.toProblem(), ...(run === undefined ? {} : { run }) };
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
      this.close(1009, `a message has ${this.#gateway.limits.messageBytes} bytes at the most`);
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
      if (Date.now() > deadline) return this.close(1013, reason);
      await new Promise((resolve) => setTimeout(resolve, DRAIN_POLL_MS));
    }
  }
}

function cursorOf(message: WatchMessage): string {
  return message.type === "reset" ? String(message.seq) : message.cursor;
}

/** What waits in the socket: a property by the standard, a method on Bun, unknown to workerd. */
function bufferedBytes(raw: unknown): number {
  if (typeof raw !== "object" || raw === null) return 0;
  if ("bufferedAmount" in raw) return Number(raw.bufferedAmount);
  if ("getBufferedAmount" in raw && typeof raw.getBufferedAmount === "function") return raw.getBufferedAmount();
  return 0;
}

function utf8Length(text: string): number {
  return new TextEncoder().encode(text).byteLength;
}
