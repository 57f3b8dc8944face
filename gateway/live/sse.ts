import type { Context } from "hono";
import type { Caller } from "../access/caller.ts";
import type { Env, Gateway } from "../context.ts";
import { type Frame, type ManyOf, manyFrames, runFrames } from "./frames.ts";
import { merge } from "./merge.ts";

interface SseOptions {
  /** All there is to come is known. */
  ended?: boolean;
  headers?: Record<string, string>;
}

/**
 * A run's events as Server-Sent Events (https://html.spec.whatwg.org/multipage/server-sent-events.html): read from the
 * log only as fast as the client takes them. 204, which tells a browser not to come back, if the run has ended and
 * there is nothing more to say.
 *
 * @param options.after where to begin: `SEQ` or a cursor
 */
export function sseResponse(
  c: Context<Env>,
  gateway: Gateway,
  run: string,
  { after, ...options }: SseOptions & { after?: string | undefined },
): Promise<Response> {
  const abort = new AbortController();
  const caller = c.get("caller");
  const messages = gateway.millrace.watch(run, { tenant: caller.tenant, after, signal: abort.signal });
  return respond(c, gateway, runFrames(messages), abort, options);
}

/** The same of several runs, and of a workflow or all. */
export function manyResponse(c: Context<Env>, gateway: Gateway, many: ManyOf, options: SseOptions): Promise<Response> {
  const abort = new AbortController();
  const sources = manyFrames(gateway.millrace, c.get("caller"), many, abort.signal);
  return respond(c, gateway, merge(sources, abort.signal), abort, options);
}

async function respond(
  c: Context<Env>,
  gateway: Gateway,
  frames: AsyncGenerator<Frame>,
  abort: AbortController,
  { ended = false, headers = {} }: SseOptions,
): Promise<Response> {
  const sent = opened(c, gateway, abort.signal);
  const messages = encoded(frames, sent);
  try {
    const first = ended ? await messages.next() : undefined;
    if (first?.done !== true) return stream(c, gateway, { messages, abort, first, headers }, true);
  } catch (error) {
    abort.abort();
    throw error;
  }
  abort.abort();
  return c.body(null, 204);
}

/** What is sent as Server-Sent Events. */
export interface SseSource {
  /** Encoded, each as one event. */
  messages: AsyncGenerator<string>;
  /** Aborted when the client has gone, or does not read. */
  abort: AbortController;
  /** A message that was read already. */
  first?: IteratorResult<string> | undefined;
  headers?: Record<string, string>;
}

/** Messages as Server-Sent Events: asked for only as fast as the client takes them, with heartbeats where they are quiet. */
export function streamResponse(c: Context<Env>, gateway: Gateway, source: SseSource): Response {
  opened(c, gateway, source.abort.signal);
  return stream(c, gateway, source, false);
}

/** Counts a stream until the signal is aborted. @throws ProblemError 429 if there are too many */
function opened(c: Context<Env>, gateway: Gateway, signal: AbortSignal): (message: object) => void {
  signal.addEventListener("abort", gateway.open.enter(c.get("caller")), { once: true });
  return gateway.metrics.opened("sse", signal);
}

/** @param isTold whether the client is told when the gateway has lost Redis */
function stream(c: Context<Env>, gateway: Gateway, source: SseSource, isTold: boolean): Response {
  return c.body(new ReadableStream(new EventStream(gateway, c.get("caller"), source, isTold)), 200, {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
    ...source.headers,
  });
}

async function* encoded(frames: AsyncGenerator<Frame>, sent: (message: object) => void): AsyncGenerator<string> {
  for await (const frame of frames) {
    sent(frame.message);
    yield encode(frame);
  }
}

const HEARTBEAT = Symbol("heartbeat");
type Next = IteratorResult<string> | typeof HEARTBEAT;

/** The source of one client's stream. */
class EventStream implements UnderlyingDefaultSource<Uint8Array> {
  readonly #gateway: Gateway;
  readonly #caller: Caller;
  readonly #frames: AsyncGenerator<string>;
  readonly #isTold: boolean;
  readonly #abort: AbortController;
  readonly #encoder = new TextEncoder();
  #next: Promise<IteratorResult<string>> | undefined;
  /** What the client is yet to be told of the gateway's connection to Redis: that it was lost last, and is back. */
  #notices: string[] = [];
  #noticed = (): void => {};
  #stalled: ReturnType<typeof setTimeout> | undefined;

  constructor(gateway: Gateway, caller: Caller, { messages, abort, first }: SseSource, isTold: boolean) {
    this.#gateway = gateway;
    this.#caller = caller;
    this.#frames = messages;
    this.#isTold = isTold;
    this.#abort = abort;
    this.#next = first && Promise.resolve(first);
  }

  /** A comment at once, so that the client and what stands between see the stream open. */
  start(controller: ReadableStreamDefaultController<Uint8Array>): void {
    controller.enqueue(this.#encoder.encode(": open\n\n"));
    const forget = this.#gateway.millrace.onConnection((isConnected) => {
      if (!this.#isTold) return;
      const event = isConnected ? "connected" : "disconnected";
      this.#notices = [...this.#notices.slice(-1), encode({ event, data: JSON.stringify({ type: event }) })];
      this.#noticed();
    });
    const refuse = () => {
      this.#release();
      controller.close();
    };
    const held = this.#caller.hold();
    this.#abort.signal.addEventListener("abort", () => {
      forget();
      held.signal.removeEventListener("abort", refuse);
      held.release();
    });
    held.signal.addEventListener("abort", refuse);
    if (held.signal.aborted) refuse();
  }

  async pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    clearTimeout(this.#stalled);
    try {
      const next = await this.#nextOrHeartbeat();
      // The client left in the meantime, and the stream with it.
      if (this.#abort.signal.aborted) return;
      if (next !== HEARTBEAT && next.done) {
        controller.close();
        return this.#release();
      }
      controller.enqueue(this.#encoder.encode(next === HEARTBEAT ? ": \n\n" : next.value));
      this.#watchReader(controller);
    } catch (error) {
      if (this.#abort.signal.aborted) return;
      // Closed and not failed: a client comes back either way, with the last cursor that it saw.
      this.#logEnd(error);
      controller.close();
      this.#release();
    }
  }

  /** The client is gone. */
  cancel(): void {
    this.#release();
  }

  #release(): void {
    clearTimeout(this.#stalled);
    this.#abort.abort();
    this.#noticed();
    // A watcher that is not being waited for does not see the signal.
    this.#frames.return(undefined).catch((error: unknown) => this.#logEnd(error));
  }

  #logEnd(error: unknown): void {
    this.#gateway.log.warn("an event stream ended early: {error}", { error });
  }

  async #nextOrHeartbeat(): Promise<Next> {
    this.#next ??= this.#frames.next();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const other = new Promise<typeof HEARTBEAT>((resolve) => {
      timer = setTimeout(() => resolve(HEARTBEAT), this.#gateway.limits.heartbeatMs);
      this.#noticed = () => resolve(HEARTBEAT);
      if (this.#notices.length > 0) this.#noticed();
    });
    try {
      const next = await Promise.race([other, this.#next]);
      if (next !== HEARTBEAT) {
        this.#next = undefined;
        return next;
      }
      const notice = this.#notices.shift();
      return notice === undefined ? HEARTBEAT : { done: false, value: notice };
    } finally {
      clearTimeout(timer);
    }
  }

  /** What was sent and is not taken in time ends the stream, so that no watcher waits for a client that is gone. */
  #watchReader(controller: ReadableStreamDefaultController<Uint8Array>): void {
    if ((controller.desiredSize ?? 0) > 0) return;
    this.#stalled = setTimeout(() => {
      this.#release();
      controller.error(new Error("The client does not read its events."));
    }, this.#gateway.limits.stallMs);
  }
}

/** JSON has no line breaks of its own, so one data line is enough. */
function encode({ id, event, data }: Omit<Frame, "message">): string {
  return `${id === undefined ? "" : `id: ${id}\n`}event: ${event}\ndata: ${data}\n\n`;
}
