import { ClientError } from "./errors.ts";
import { errorOf, type Http } from "./http.ts";
import { framesOf } from "./sse.ts";
import type { Message, Problem } from "./types.ts";

/** A run that is watched, and from where. */
export interface Feed {
  readonly run: string;
  /** After which number or cursor the watcher that is furthest behind goes on. */
  after(): string;
  take(message: Message): void;
  /** Whether the gateway hears what happens. */
  heard(isLive: boolean): void;
  /** Nothing more will come. */
  end(): void;
  /** It cannot be watched. */
  fail(error: unknown): void;
}

/** One connection that carries the events of some runs, for as long as it lasts. */
export interface Line {
  /** How many runs it can carry. */
  readonly room: number;
  /** Whether runs can be added to it once it is open. */
  readonly takesMore: boolean;
  /** Resolves when it is closed, by whichever side. @throws ClientError if the gateway refuses, TypeError if it cannot be reached */
  carry(feeds: ReadonlySet<Feed>, opened: () => void): Promise<void>;
  /** Begins a run, or begins it anew. */
  begin(feed: Feed): void;
  leave(run: string): void;
  close(): void;
}

/** The query with which a line shows for itself that it may watch these runs. */
export type Admission = (runs: readonly string[], signal: AbortSignal) => Promise<string>;

type Said = Message | { type: "error"; problem: Problem & { run?: string } } | { type: "connected" | "disconnected" };

/** Hands what a gateway says to whom it is about. @returns false if the connection is of no use any more */
function hand(text: string, feeds: ReadonlySet<Feed>): boolean {
  const said = JSON.parse(text) as Said;
  if (said.type === "connected" || said.type === "disconnected")
    for (const feed of feeds) feed.heard(said.type === "connected");
  else if (said.type === "error") {
    const { problem } = said;
    if (problem.status >= 500 || problem.status === 429) return false;
    for (const feed of feeds) if (feed.run === problem.run) feed.fail(new ClientError(problem));
  } else if ("run" in said) for (const feed of feeds) if (feed.run === said.run) feed.take(said);
  return true;
}

/** Over `/v1/live`, opened as a WebSocket. */
export class SocketLine implements Line {
  readonly room: number;
  readonly takesMore: boolean;
  readonly #url: string;
  readonly #admission: Admission | undefined;
  readonly #WebSocket: typeof WebSocket;
  readonly #gone = new AbortController();
  #socket: WebSocket | undefined;

  constructor(url: string, admission: Admission | undefined, Socket: typeof WebSocket) {
    this.#url = `${url.replace(/^http/, "ws")}/v1/live`;
    this.#admission = admission;
    this.#WebSocket = Socket;
    // A ticket is of a hundred runs at the most, and of no others than it was asked for.
    this.room = admission === undefined ? 1_000 : 100;
    this.takesMore = admission === undefined;
  }

  async carry(feeds: ReadonlySet<Feed>, opened: () => void): Promise<void> {
    const { signal } = this.#gone;
    const query =
      (await this.#admission?.(
        Array.from(feeds, ({ run }) => run),
        signal,
      )) ?? "";
    if (signal.aborted) return;
    const socket = new this.#WebSocket(this.#url + query);
    await new Promise<void>((resolve) => {
      signal.addEventListener("abort", () => {
        socket.close();
        resolve();
      });
      socket.onopen = () => {
        this.#socket = socket;
        opened();
        for (const feed of feeds) this.#subscribe(feed);
      };
      socket.onmessage = ({ data }) => {
        if (!signal.aborted && !hand(String(data), feeds)) this.close();
      };
      socket.onerror = () => {};
      socket.onclose = () => resolve();
    });
    this.#gone.abort();
  }

  begin(feed: Feed): void {
    if (this.#socket === undefined) return;
    this.leave(feed.run);
    this.#subscribe(feed);
  }

  leave(run: string): void {
    this.#say({ type: "unsubscribe", run });
  }

  close(): void {
    this.#gone.abort();
  }

  #subscribe(feed: Feed): void {
    this.#say({ type: "subscribe", run: feed.run, after: feed.after() });
  }

  #say(message: object): void {
    if (this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(message));
  }
}

/** A stream says every 15 s that it is alive. */
const SILENT_MS = 40_000;

/** Over `/v1/live` as Server-Sent Events, where WebSockets do not get through. */
export class StreamLine implements Line {
  readonly room = 50;
  readonly takesMore = false;
  readonly #http: Http;
  readonly #admission: Admission | undefined;
  readonly #gone = new AbortController();

  constructor(http: Http, admission: Admission | undefined) {
    this.#http = http;
    this.#admission = admission;
  }

  async carry(feeds: ReadonlySet<Feed>, opened: () => void): Promise<void> {
    const { signal } = this.#gone;
    const carried = [...feeds];
    const runs = carried.map(({ run }) => run);
    const query = new URLSearchParams((await this.#admission?.(runs, signal)) ?? "");
    for (const run of runs) query.append("run", run);
    query.set("after", carried.map((feed) => feed.after()).join(","));
    let timer = setTimeout(() => this.close(), SILENT_MS);
    try {
      const headers = { Accept: "text/event-stream" };
      const response = await this.#http.open(`/v1/live?${query}`, { headers, signal });
      if (!response.ok) throw await errorOf(response);
      opened();
      if (response.status === 204) {
        for (const feed of carried) feed.end();
        return;
      }
      for await (const frame of framesOf(response.body!)) {
        clearTimeout(timer);
        timer = setTimeout(() => this.close(), SILENT_MS);
        if (frame !== undefined && !hand(frame.data, feeds)) return;
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      clearTimeout(timer);
      this.#gone.abort();
    }
  }

  begin(): void {
    this.close();
  }

  leave(): void {}

  close(): void {
    this.#gone.abort();
  }
}
