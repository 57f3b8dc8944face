import { ClientError } from "./errors.ts";
import { errorOf, type Http } from "./http.ts";
import { framesOf } from "./sse.ts";
import type { Message, Problem, Topic } from "./types.ts";

/** Until a connection is open, from when its ticket is asked for. */
const OPEN_MS = 20_000;
/** How often the gateway is asked over a socket whether it is there; over a stream it says so as often by itself. */
const PING_MS = 15_000;
/** A connection over which nothing has come for so long is dead. */
const SILENT_MS = 40_000;
/** What could not be watched for a passing reason is asked for again so much later. */
const AGAIN_MS = 2_000;

/** So many of each kind of topic go over one connection: what a ticket is for, and what one event stream can be of. */
const ON_TICKET = { run: 100, workflow: 20, all: 0 };
const ON_STREAM = { run: 50, workflow: 1, all: 1 };
type Kind = keyof typeof ON_TICKET;

/** What a gateway tells. What is of many runs says of which workflow it is, or that it is of all. */
export type Told = (Message | { type: "cursor"; cursor: string } | { type: "reset"; runs: unknown }) & {
  workflow?: string;
  all?: true;
};

/** What is watched, and from where. */
export interface Feed {
  readonly topic: Topic;
  /** After which number or cursor the watcher that is furthest behind goes on; undefined: from now on. */
  after(): string | undefined;
  take(told: Told): void;
  /** Whether the gateway hears what happens. */
  heard(isLive: boolean): void;
  /** Nothing more will come. */
  end(): void;
  /** It cannot be watched. */
  fail(error: unknown): void;
}

/** One connection that carries the events of some topics, for as long as it lasts. */
export interface Line {
  readonly isSocket: boolean;
  /** How many topics it can carry. */
  readonly room: number;
  /** Whether topics can be added to it once it is open. */
  readonly takesMore: boolean;
  /** Whether it can carry this together with what it was made for. */
  fits(topic: Topic): boolean;
  /**
   * Resolves when it is closed, by whichever side.
   *
   * @throws ClientError if the gateway refuses; TypeError if it cannot be reached; AdmissionError
   */
  carry(feeds: ReadonlySet<Feed>, opened: () => void): Promise<void>;
  /** Begins a topic, or begins it anew. */
  begin(feed: Feed): void;
  leave(topic: Topic): void;
  close(): void;
}

/** The query with which a line shows for itself that it may watch these, all of one kind. */
export type Admission = (topics: readonly Topic[], signal: AbortSignal) => Promise<string>;

/** There was no ticket to be had. */
export class AdmissionError extends Error {}

type About = { run?: string; workflow?: string; all?: true };
type Said =
  | Told
  | { type: "error"; problem: Problem & About }
  | { type: "connected" }
  | { type: "disconnected" }
  | { type: "pong" };

/** What a topic is called; undefined for what is about none. */
export function nameOf({ run, workflow, all }: About): string | undefined {
  if (run !== undefined) return `run ${run}`;
  return workflow === undefined ? all && "all" : `workflow ${workflow}`;
}

function kindOf(topic: Topic): Kind {
  return "run" in topic ? "run" : "workflow" in topic ? "workflow" : "all";
}

function isOf(topic: Topic, told: Told): boolean {
  if ("run" in topic) return "run" in told && told.run === topic.run && told.workflow === undefined;
  if ("run" in told) return told.workflow !== undefined && ("all" in topic || told.workflow === topic.workflow);
  return nameOf(told) === nameOf(topic);
}

/** What every connection has: an end, and a watch over its silence. */
abstract class AnyLine {
  readonly #admission: Admission | undefined;
  /** What alone it carries; undefined: any. */
  readonly #kind: Kind | undefined;
  readonly #gone = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(admission: Admission | undefined, kind: Kind | undefined) {
    this.#admission = admission;
    this.#kind = kind;
  }

  fits(topic: Topic): boolean {
    return this.#kind === undefined || kindOf(topic) === this.#kind;
  }

  get signal(): AbortSignal {
    return this.#gone.signal;
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#gone.abort();
  }

  protected async admit(feeds: readonly Feed[]): Promise<string> {
    const topics = feeds.map(({ topic }) => topic);
    try {
      return (await this.#admission?.(topics, this.signal)) ?? "";
    } catch (cause) {
      if (cause instanceof ClientError) throw cause;
      throw new AdmissionError("There was no ticket to be had.", { cause });
    }
  }

  /** Closes it unless something comes meanwhile. */
  protected expect(ms: number): void {
    clearTimeout(this.#timer);
    if (!this.signal.aborted) this.#timer = setTimeout(() => this.close(), ms);
  }

  /** Runs what the connection is until it ends. A machine that is online again has other connections than before. */
  protected async during(carry: () => Promise<void>): Promise<void> {
    const page = globalThis as Partial<EventTarget>;
    const close = () => this.close();
    page.addEventListener?.("online", close);
    this.expect(OPEN_MS);
    try {
      await carry();
    } catch (error) {
      if (!this.signal.aborted || error instanceof ClientError) throw error;
    } finally {
      page.removeEventListener?.("online", close);
      this.close();
    }
  }

  /** Hands what a gateway says to whom it is about. */
  protected hand(text: string, feeds: ReadonlySet<Feed>): void {
    const said = JSON.parse(text) as Said;
    if (said.type === "connected" || said.type === "disconnected")
      for (const feed of feeds) feed.heard(said.type === "connected");
    else if (said.type === "error") this.#refused(said.problem, feeds);
    else if (said.type !== "pong") for (const feed of feeds) if (isOf(feed.topic, said)) feed.take(said);
  }

  #refused(problem: Problem & About, feeds: ReadonlySet<Feed>): void {
    const isPassing = problem.status >= 500 || problem.status === 429;
    for (const feed of feeds)
      if (nameOf(feed.topic) !== nameOf(problem)) continue;
      else if (!isPassing) feed.fail(new ClientError(problem));
      else
        setTimeout(() => {
          if (!this.signal.aborted && feeds.has(feed)) this.begin(feed);
        }, AGAIN_MS);
  }

  abstract begin(feed: Feed): void;
}

/** Over `/v1/live`, opened as a WebSocket. */
export class SocketLine extends AnyLine implements Line {
  readonly isSocket = true;
  readonly room: number;
  readonly takesMore: boolean;
  readonly #url: string;
  readonly #WebSocket: typeof WebSocket;
  #socket: WebSocket | undefined;

  /** @param first what it is made for */
  constructor(url: string, admission: Admission | undefined, Socket: typeof WebSocket, first: Topic) {
    const kind = admission && kindOf(first);
    super(admission, kind);
    this.#url = `${url.replace(/^http/, "ws")}/v1/live`;
    this.#WebSocket = Socket;
    this.room = kind === undefined ? 1_000 : ON_TICKET[kind];
    // A ticket is of nothing else than it was asked for.
    this.takesMore = kind === undefined;
  }

  carry(feeds: ReadonlySet<Feed>, opened: () => void): Promise<void> {
    return this.during(async () => {
      const query = await this.admit([...feeds]);
      if (this.signal.aborted) return;
      const socket = new this.#WebSocket(this.#url + query);
      let pings: ReturnType<typeof setInterval> | undefined;
      await new Promise<void>((resolve) => {
        this.signal.addEventListener("abort", () => {
          socket.close();
          resolve();
        });
        socket.onopen = () => {
          if (this.signal.aborted) return;
          this.#socket = socket;
          pings = setInterval(() => this.#say({ type: "ping" }), PING_MS);
          this.expect(SILENT_MS);
          opened();
          for (const feed of feeds) this.#subscribe(feed);
        };
        socket.onmessage = ({ data }) => {
          if (this.signal.aborted) return;
          this.expect(SILENT_MS);
          this.hand(String(data), feeds);
        };
        socket.onerror = () => {};
        socket.onclose = () => resolve();
      });
      clearInterval(pings);
    });
  }

  begin(feed: Feed): void {
    if (this.#socket === undefined) return;
    this.leave(feed.topic);
    this.#subscribe(feed);
  }

  leave(topic: Topic): void {
    this.#say({ type: "unsubscribe", ...topic });
  }

  #subscribe(feed: Feed): void {
    this.#say({ type: "subscribe", ...feed.topic, after: feed.after() });
  }

  #say(message: object): void {
    if (this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(message));
  }
}

/** Over `/v1/live` as Server-Sent Events, where WebSockets do not get through. */
export class StreamLine extends AnyLine implements Line {
  readonly isSocket = false;
  readonly room: number;
  readonly takesMore = false;
  readonly #http: Http;

  /** @param first what it is made for */
  constructor(http: Http, admission: Admission | undefined, first: Topic) {
    const kind = kindOf(first);
    super(admission, kind);
    this.room = ON_STREAM[kind];
    this.#http = http;
  }

  carry(feeds: ReadonlySet<Feed>, opened: () => void): Promise<void> {
    return this.during(async () => {
      const carried = [...feeds];
      const query = new URLSearchParams(await this.admit(carried));
      for (const { topic } of carried)
        for (const [name, value] of Object.entries(topic)) query.append(name, String(value));
      query.set("after", carried.map((feed) => feed.after() ?? "").join(","));
      const headers = { Accept: "text/event-stream" };
      const response = await this.#http.open(`/v1/live?${query}`, { headers, signal: this.signal });
      if (!response.ok) throw await errorOf(response);
      this.expect(SILENT_MS);
      opened();
      if (response.status === 204) for (const feed of carried) feed.end();
      else
        for await (const frame of framesOf(response.body!)) {
          this.expect(SILENT_MS);
          if (frame !== undefined) this.hand(frame.data, feeds);
        }
    });
  }

  begin(): void {
    this.close();
  }

  leave(): void {}
}
