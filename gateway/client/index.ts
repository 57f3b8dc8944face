import { RunError } from "./errors.ts";
import { type Fetch, Http } from "./http.ts";
import { type Admission, SocketLine, StreamLine } from "./lines.ts";
import { type ListStore, listStore } from "./list-store.ts";
import { Live } from "./live.ts";
import { messagesOf } from "./queue.ts";
import { newKey } from "./retry.ts";
import { type RunStore, runStore } from "./run-store.ts";
import type {
  InputOf,
  Message,
  OutputOf,
  Page,
  Run,
  RunFilter,
  RunSummary,
  TicketFor,
  Topic,
  Typed,
  Untyped,
  Uploaded,
} from "./types.ts";
import { type UploadOptions, upload } from "./upload.ts";

export { ClientError, RunError } from "./errors.ts";
export type { ListState, ListStore } from "./list-store.ts";
export type { RunState, RunStore } from "./run-store.ts";
export type { Store } from "./store.ts";
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
  /** Asks the page's own server for a ticket for this: one for each connection, and for each request. */
  ticket?(of: TicketFor, signal: AbortSignal): Promise<string>;
  /** How runs are watched. `auto`: by WebSocket, and by Server-Sent Events where that does not get through. */
  transport?: "auto" | "websocket" | "sse";
  fetch?: Fetch;
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
  /** A page of runs, the newest first. */
  list(filter?: RunFilter, options?: { signal?: AbortSignal }): Promise<Page<RunSummary>>;
  /** A page of runs as a store that stays current. */
  listStore(filter?: RunFilter): ListStore;
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
  const admission = (give: ClientOptions["ticket"]): Admission | undefined =>
    give && (async (topics, signal) => `?${new URLSearchParams({ ticket: await give(ticketFor(topics), signal) })}`);
  const ofSockets = admission(ticket ?? (key === undefined ? undefined : ownTicket));
  // Without a ticket of somebody else's the key itself goes along.
  const ofStreams = admission(ticket);
  const live = new Live((preferred, first) => {
    const bySocket = transport === "auto" ? Socket !== undefined && preferred : transport === "websocket";
    // No ticket is for all, but the key is.
    const isAdmitted = ofSockets === undefined || !("all" in first);
    return bySocket && isAdmitted
      ? new SocketLine(http.url, ofSockets, Socket, first)
      : new StreamLine(http, ofStreams, first);
  });

  async function ownTicket(of: TicketFor, signal: AbortSignal): Promise<string> {
    // Without a key: a ticket too many does no harm.
    return (await http.json<{ ticket: string }>("/v1/tickets", { method: "POST", json: of, signal })).ticket;
  }

  /** A ticket holds for one request. */
  async function admitted(path: string, of: TicketFor, signal = new AbortController().signal): Promise<string> {
    if (ticket === undefined) return path;
    return `${path}${path.includes("?") ? "&" : "?"}${new URLSearchParams({ ticket: await ticket(of, signal) })}`;
  }

  /** @throws TypeError for a list that no ticket is for */
  function listed(filter: RunFilter): (signal?: AbortSignal) => Promise<Page<RunSummary>> {
    const { workflow } = filter;
    if (ticket !== undefined && workflow === undefined)
      throw new TypeError("A ticket lists the runs of one workflow: say which.");
    const asked = Object.entries(filter).filter(([, value]) => value !== undefined);
    const path = `/v1/runs?${new URLSearchParams(asked.map(([name, value]) => [name, String(value)]))}`;
    return (signal) => http.json(() => admitted(path, { workflows: [workflow!] }, signal), { signal });
  }

  function run<W extends Typed>(id: string): RunHandle<W> {
    if (!ID.test(id)) throw new TypeError("The id of a run is 1 to 64 of A-Z a-z 0-9 _ -");
    const path = `/v1/runs/${encodeURIComponent(id)}`;
    const of = { runs: [id] };
    const get = (given: { signal?: AbortSignal | undefined } = {}) =>
      http.json<Run<W>>(() => admitted(path, of, given.signal), given);
    const handle: RunHandle<W> = {
      ...{ id, get },
      async cancel() {
        await http.ask(`${path}/cancel`, { method: "POST" });
      },
      async signal(name, data = null, { idempotencyKey = newKey() } = {}) {
        const headers = { "Idempotency-Key": idempotencyKey };
        const to = `${path}/signals/${encodeURIComponent(name)}`;
        await http.json(() => admitted(to, of), { method: "POST", json: data, headers });
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
    list: async (filter = {}, { signal } = {}) => listed(filter)(signal),
    listStore: (filter = {}) => listStore(live, filter, listed(filter)),
    upload: (file, given = {}) => upload(http, file, given),
    close: () => live.close(),
  };
}

/** What a ticket for these is asked for, which are all of one kind. */
function ticketFor(topics: readonly Topic[]): TicketFor {
  const runs = topics.flatMap((topic) => ("run" in topic ? [topic.run] : []));
  if (runs.length > 0) return { runs };
  return { workflows: topics.flatMap((topic) => ("workflow" in topic ? [topic.workflow] : [])) };
}

/** Over HTTP times have no unit in their names. */
function bodyOf({ delayMs: delay, ttlMs: ttl, deadlineMs: deadline, dedupe, ...same }: StartOptions): object {
  const { windowMs: window, maxWaitMs: maxWait, ...of } = dedupe ?? {};
  return { ...same, delay, ttl, deadline, ...(dedupe && { dedupe: { ...of, window, maxWait } }) };
}
