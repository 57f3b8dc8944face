import type { Context } from "hono";
import type { WatchMessage } from "../../engine/index.ts";
import { type Env, type Gateway, tenantOf } from "../context.ts";

interface SseOptions {
  /** Where to begin: `SEQ` or a cursor. */
  after?: string | undefined;
  /** The run has ended, so all there is to come is known. */
  ended?: boolean;
  headers?: Record<string, string>;
}

/**
 * A run's events as Server-Sent Events (https://html.spec.whatwg.org/multipage/server-sent-events.html): read from the
 * log only as fast as the client takes them. 204, which tells a browser not to come back, if the run has ended and
 * there is nothing more to say.
 */
export async function sseResponse(
  c: Context<Env>,
  gateway: Gateway,
  run: string,
  { after, ended = false, headers = {} }: SseOptions,
): Promise<Response> {
  const abort = new AbortController();
  const messages = encoded(gateway.millrace.watch(run, { tenant: tenantOf(c), after, signal: abort.signal }));
  const first = ended ? await messages.next() : undefined;
  if (first?.done === true) return c.body(null, 204);
  return streamResponse(c, gateway, run, { messages, abort, first, headers });
}

/** What is sent as Server-Sent Events, about one run. */
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
export function streamResponse(c: Context<Env>, gateway: Gateway, run: string, source: SseSource): Response {
  return c.body(new ReadableStream(new EventStream(gateway, run, source)), 200, {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
    ...source.headers,
  });
}

async function* encoded(messages: AsyncGenerator<WatchMessage>): AsyncGenerator<string> {
  for await (const message of messages) yield encode(message);
}

const HEARTBEAT = Symbol("heartbeat");

/** The source of one client's stream. */
class EventStream implements UnderlyingDefaultSource<Uint8Array> {
  readonly #gateway: Gateway;
  readonly #run: string;
  readonly #messages: AsyncGenerator<string>;
  readonly #abort: AbortController;
  readonly #encoder = new TextEncoder();
  #next: Promise<IteratorResult<string>> | undefined;
  #stalled: ReturnType<typeof setTimeout> | undefined;

  constructor(gateway: Gateway, run: string, { messages, abort, first }: SseSource) {
    this.#gateway = gateway;
    this.#run = run;
    this.#messages = messages;
    this.#abort = abort;
    this.#next = first && Promise.resolve(first);
  }

  /** A comment at once, so that the client and what stands between see the stream open. */
  start(controller: ReadableStreamDefaultController<Uint8Array>): void {
    controller.enqueue(this.#encoder.encode(": open\n\n"));
  }

  async pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    clearTimeout(this.#stalled);
    try {
      const next = await this.#nextOrHeartbeat();
      // The client left in the meantime, and the stream with it.
      if (this.#abort.signal.aborted) return;
      if (next !== HEARTBEAT) this.#next = undefined;
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
    // A watcher that is not being waited for does not see the signal.
    this.#messages.return(undefined).catch((error: unknown) => this.#logEnd(error));
  }

  #logEnd(error: unknown): void {
    this.#gateway.log.warn("the event stream of {run} ended early: {error}", { run: this.#run, error });
  }

  async #nextOrHeartbeat(): Promise<IteratorResult<string> | typeof HEARTBEAT> {
    this.#next ??= this.#messages.next();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const heartbeat = new Promise<typeof HEARTBEAT>((resolve) => {
      timer = setTimeout(() => resolve(HEARTBEAT), this.#gateway.limits.heartbeatMs);
    });
    try {
      return await Promise.race([this.#next, heartbeat]);
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

/** JSON has no line breaks of its own, so one data line is enough. A reset is where the next event counts from. */
function encode(message: WatchMessage): string {
  const id = message.type === "reset" ? message.seq : message.cursor;
  return `id: ${id}\nevent: ${message.type}\ndata: ${JSON.stringify(message)}\n\n`;
}
