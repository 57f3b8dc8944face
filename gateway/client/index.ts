import { RunError } from "./errors.ts";
import { Http } from "./http.ts";
import { type Admission, SocketLine, StreamLine } from "./lines.ts";
import { Live } from "./live.ts";
import { messagesOf } from "./queue.ts";
import { newKey } from "./retry.ts";
import { type RunStore, runStore } from "./store.ts";
import type { InputOf, Message, OutputOf, Run, Typed, Untyped, Uploaded } from "./types.ts";
import { type UploadOptions, upload } from "./upload.ts";

export { ClientError, RunError } from "./errors.ts";
export type { RunState, RunStore } from "./store.ts";
export type * from "./types.ts";
export type { UploadOptions } from "./upload.ts";

const ID = /^[A-Za-z0-9_-]{1,64}$/;
const AFTER = /^\d{1,15}(-[0-9a-z]{1,11})?$/;

/** Which gateway, who asks, and how. */
export interface ClientOptions {
  /** Where the gateway is. Default: where the page is from. */
  url?: string;
  /** An API key or a token, for programs. A page is given tickets, and never a key. */
  key?: string;
  /** Asks the page's own server for a ticket for these runs: one for each connection, and for each request. */
  ticket?(runs: readonly string[], signal: AbortSignal): Promise<string>;
  /** How runs are watched. `auto`: by WebSocket, and by Server-Sent Events where that does not get through. */
  transport?: "auto" | "websocket" | "sse";
  fetch?: typeof fetch;
  WebSocket?: typeof WebSocket;
}

/** When a run starts, how long it may take, and how it is found; times in ms. */
export interface StartOptions {
  /** What the same call has when it is made again. Default: another one each time. */
  idempotencyKey?: string;
  metadata?: Record<string, unknown>;
  priority?: "high" | "normal" | "low";
  tags?: readonly string[];
  delayMs?: number;
  runAt?: Date;
  ttlMs?: number;
  deadlineMs?: number;
  budget?: { tokens?: number; cost?: number };
  dedupe?: { key: string; mode: "simple" | "throttle" | "debounce"; windowMs?: number; maxWaitMs?: number };
  signal?: AbortSignal;
}

/** From where a run is watched, and for how long. */
export interface WatchOptions {
  /** A number or cursor that was seen. Default: from its beginning. */
  after?: number | string;
  signal?: AbortSignal;
}

/** One run. */
export interface RunHandle<W extends Typed = Untyped> {
  readonly id: string;
  /** The run as it stands. */
  get(options?: { signal?: AbortSignal | undefined }): Promise<Run<W>>;
  cancel(): Promise<void>;
  /** Hands a signal to the step that waits for it by this name. */
  signal(name: string, data?: unknown, options?: { idempotencyKey?: string }): Promise<void>;
  /** What happens to it, each once and in order, to its end, whatever becomes of connections meanwhile. */
  watch(options?: WatchOptions): AsyncGenerator<Message<W>>;
  /** The same as a store, for user interfaces. */
  store(): RunStore<W>;
  /** Waits for its end. @returns its output @throws RunError if it fails or is cancelled */
  result(options?: { signal?: AbortSignal }): Promise<OutputOf<W>>;
}

/** A gateway, for pages and programs. Made by `createClient`. */
export interface Client {
  /** Starts a run. A call whose answer is lost is made again, and starts one run. */
  start<W extends Typed = Untyped>(workflow: string, input: InputOf<W>, options?: StartOptions): Promise<RunHandle<W>>;
  /** A run that there is: `client.run<typeof greet>(id)`. */
  run<W extends Typed = Untyped>(id: string): RunHandle<W>;
  upload(file: Blob, options?: UploadOptions): Promise<Uploaded>;
  /** Ends all that is watched. */
  close(): void;
}

/** A client of a gateway, for pages and programs alike. */
export function createClient(options: ClientOptions = {}): Client {
  const { key, ticket, transport = "auto" } = options;
  const url = options.url ?? globalThis.location?.origin;
  if (url === undefined) throw new TypeError("url is missing: say where the gateway is.");
  const http = new Http(url, key, options.fetch ?? fetch);
  const Socket = options.WebSocket ?? globalThis.WebSocket;
  const asked: ClientOptions["ticket"] = ticket ?? (key === undefined ? undefined : ownTicket);
  const admission: Admission | undefined =
    asked && (async (runs, signal) => `?${new URLSearchParams({ ticket: await asked(runs, signal) })}`);
  const live = new Live((preferred) => {
    const bySocket = transport === "auto" ? Socket !== undefined && preferred : transport === "websocket";
    return bySocket ? new SocketLine(http.url, admission, Socket) : new StreamLine(http, admission);
  });

  async function ownTicket(runs: readonly string[], signal: AbortSignal): Promise<string> {
    // Without a key: a ticket too many does no harm.
    return (await http.json<{ ticket: string }>("/v1/tickets", { method: "POST", json: { runs }, signal })).ticket;
  }

  function run<W extends Typed>(id: string): RunHandle<W> {
    if (!ID.test(id)) throw new TypeError("The id of a run is 1 to 64 of A-Z a-z 0-9 _ -");
    const path = `/v1/runs/${encodeURIComponent(id)}`;
    /** A ticket holds for one request. */
    const admitted = async (to: string, signal = new AbortController().signal) =>
      ticket === undefined ? to : `${to}?${new URLSearchParams({ ticket: await ticket([id], signal) })}`;
    const get = (given: { signal?: AbortSignal | undefined } = {}) =>
      http.json<Run<W>>(() => admitted(path, given.signal), given);
    const handle: RunHandle<W> = {
      ...{ id, get },
      async cancel() {
        await http.ask(`${path}/cancel`, { method: "POST" });
      },
      async signal(name, data = null, { idempotencyKey = newKey() } = {}) {
        const headers = { "Idempotency-Key": idempotencyKey };
        const to = `${path}/signals/${encodeURIComponent(name)}`;
        await http.json(() => admitted(to), { method: "POST", json: data, headers });
      },
      async *watch({ after = 0, signal } = {}) {
        if (!AFTER.test(String(after))) throw new TypeError("after is a number or a cursor of an event.");
        if (after !== 0) {
          const { endedAt, seq } = await get({ signal });
          if (endedAt !== undefined && seq <= Number.parseInt(String(after), 10)) return;
        }
        yield* messagesOf(live, id, String(after), signal) as AsyncGenerator<Message<W>>;
      },
      store: () => runStore(live, id, (signal) => get({ signal }) as Promise<Run>) as unknown as RunStore<W>,
      async result({ signal } = {}) {
        for await (const _ of handle.watch(signal === undefined ? {} : { signal }));
        const { status, output, error } = await get({ signal });
        if (status === "failed" || status === "cancelled") throw new RunError(id, status, error);
        if (status !== "completed") throw new Error("The client was closed before the run has ended.");
        return output as OutputOf<W>;
      },
    };
    return handle;
  }

  return {
    run,
    async start(workflow, input, { idempotencyKey = newKey(), signal, ...terms } = {}) {
      const path = `/v1/workflows/${encodeURIComponent(workflow)}/runs`;
      const headers = { "Idempotency-Key": idempotencyKey };
      const json = { input, ...bodyOf(terms) };
      const { id } = await http.json<{ id: string }>(path, { method: "POST", json, headers, signal });
      return run(id);
    },
    upload: (file, given = {}) => upload(http, file, given),
    close: () => live.close(),
  };
}

/** Over HTTP times have no unit in their names. */
function bodyOf({ delayMs: delay, ttlMs: ttl, deadlineMs: deadline, dedupe, ...same }: StartOptions): object {
  const { windowMs: window, maxWaitMs: maxWait, ...of } = dedupe ?? {};
  return { ...same, delay, ttl, deadline, ...(dedupe && { dedupe: { ...of, window, maxWait } }) };
}
