import { Cluster, Redis, type RedisOptions } from "ioredis";
import { hexDigest } from "../digest.ts";
import { MillraceError, UnavailableError } from "../errors.ts";
import { logger } from "../log.ts";
import { pauseMs } from "../retry.ts";
import { bounded } from "./deadline.ts";
import { byTag, tagOf } from "./tags.ts";
import { serverTimeMs } from "./time.ts";

const log = logger("redis");

/** One command: its name and arguments. */
export type Call = [name: string, ...args: (string | number)[]];

/** A script as `run` takes it. */
export interface Runnable {
  readonly name: string;
  readonly source: string;
}

/** What runs scripts. */
export interface ScriptRunner {
  run(script: Runnable, keys: string[], args: (string | number)[]): Promise<unknown>;
}

/** Replies of a server that is there but cannot serve just now; the same call may succeed later. */
const PASSING =
  /^(LOADING|BUSY|MASTERDOWN|NOREPLICAS|READONLY|CLUSTERDOWN|TRYAGAIN|MISCONF|OOM|UNBLOCKED|NOAUTH|WRONGPASS)\b/;

/** Errors of a node for a call that is to be sent alone: its keys are elsewhere, or in part, or the node has gone. */
const ELSEWHERE = /^(MOVED|ASK|TRYAGAIN|CLUSTERDOWN)\b|^Connection is closed\.$/;

export const CALL_DEADLINE_MS = 5_000;
/** Time enough for a call to be sent to another node than it was first. */
const CLUSTER_DEADLINE_MS = 2 * CALL_DEADLINE_MS;
export const RECONNECT_FROM_MS = 50;
export const RECONNECT_TO_MS = 2_000;

/** A connection to one server, or to the nodes of a cluster. */
export type Link = Redis | Cluster;

/**
 * Calls to Redis. It reconnects by itself for as long as it is open; a call made meanwhile waits for that, up to its
 * deadline. A call that was under way when a connection broke is sent again on the next, so every write made over it must
 * be idempotent.
 */
export class Client implements ScriptRunner {
  readonly #link: Link;
  readonly #shas = new Map<string, Promise<string>>();
  /** The slots of keys, by their hash tag. */
  readonly #slots = new Map<string, number>();
  /** Of a cluster, the clients of its nodes. */
  readonly #nodes = new WeakMap<Redis, Client>();
  /** Called once it is closed for good. */
  readonly #whenClosed = new Set<() => void>();
  /** Why there is no connection, while there is none. */
  #trouble: Error | undefined;

  constructor(link: Link) {
    this.#link = link;
    link.on("ready", () => {
      this.#trouble = undefined;
    });
    link.on("end", () => this.#whenClosed.forEach((close) => void close()));
    // Every call reports its own failure; this tells of attempts to reconnect.
    link.on("error", (error) => {
      this.#trouble = error;
      log.debug("connection: {error}", { error });
    });
  }

  get isCluster(): boolean {
    return this.#link instanceof Cluster;
  }

  /** @throws UnavailableError if Redis cannot be reached, does not answer in time or cannot serve now; MillraceError
   *   `redis` for any other error reply */
  async call(...[name, ...args]: Call): Promise<unknown> {
    try {
      return await this.#settled(this.#link.call(name, ...args));
    } catch (error) {
      throw classify(name, error, this.#where());
    }
  }

  /** As `call`, with bytes among the arguments, and a reply of bytes. */
  async callWithBytes(name: string, ...args: (string | number | Uint8Array)[]): Promise<unknown> {
    const given = args.map((arg) =>
      typeof arg === "object" ? Buffer.from(arg.buffer, arg.byteOffset, arg.length) : arg,
    );
    try {
      return await this.#settled(this.#link.callBuffer(name, ...given));
    } catch (error) {
      throw classify(name, error, this.#where());
    }
  }

  /** Sends calls together; their replies in order. @throws as `call`, for the first that failed */
  async pipeline(calls: Call[]): Promise<unknown[]> {
    return allOf(await this.replies(calls));
  }

  /** Sends calls together, on a cluster those of each hash tag; of each its reply or its MillraceError. @throws UnavailableError */
  async replies(calls: Call[]): Promise<unknown[]> {
    if (!this.isCluster) return this.#exec(calls);
    const replies: unknown[] = [];
    const parts = byTag(calls).map(async (part) => {
      const got = await this.#execAtNode(part.map((i) => calls[i]!));
      for (const [k, i] of part.entries()) replies[i] = got[k];
    });
    await Promise.all(parts);
    return replies;
  }

  /** Sends calls of one hash tag together; those whose keys are found to be elsewhere again, each by itself. */
  async #execAtNode(calls: Call[]): Promise<unknown[]> {
    // ioredis would send reads on all together to where the key of one has gone, and find none of the others' there. It
    // leaves that to its caller where anything was done that is no read.
    const [, ...replies] = await this.#exec([["PING"], ...calls]);
    for (const [i, reply] of replies.entries())
      if (isElsewhere(reply)) replies[i] = await this.call(...calls[i]!).catch((error) => error);
    return replies;
  }

  async #exec(calls: Call[]): Promise<unknown[]> {
    let replies: [Error | null, unknown][] | null;
    try {
      const pipeline = this.#link.pipeline(calls.map(([name, ...args]) => ["call", name, ...args]));
      replies = await this.#settled(pipeline.exec());
    } catch (error) {
      throw classify("pipeline", error, this.#where());
    }
    return (replies ?? []).map(([error, reply]) =>
      error === null ? reply : classify("pipeline", error, this.#where()),
    );
  }

  /** Of a cluster, a call waits for its node to be known without a deadline of its own, and some when it is closed for ever. */
  #settled<T>(promise: Promise<T>): Promise<T> {
    if (!this.isCluster) return promise;
    return bounded(promise, CLUSTER_DEADLINE_MS, "The cluster did not answer", this.#whenClosed);
  }

  /** Sends calls together; their replies in order, and the time of runs just before them. @throws as `call` */
  async timed(calls: Call[]): Promise<{ nowMs: number; replies: unknown[] }> {
    const [time, ...replies] = await this.pipeline([["TIME"], ...calls]);
    return { nowMs: serverTimeMs(time as [string, string]), replies };
  }

  /** Runs a script by its digest, and by its source where the server does not know it (any more). */
  async run(script: Runnable, keys: string[], args: (string | number)[]): Promise<unknown> {
    try {
      const call = await this.#evalsha(script, keys, args);
      return await this.#settled(this.#link.call(...call));
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith("NOSCRIPT")))
        throw classify(script.name, error, this.#where());
    }
    return this.call("EVAL", script.source, keys.length, ...keys, ...args);
  }

  /**
   * Sends scripts and a call after them in one pipeline over one connection, to the node that serves them all: see `nodeOf`.
   * The reply or the MillraceError of each, the call's last; a script that the server does not know is not run.
   *
   * @throws UnavailableError
   */
  async runTogether(
    runs: readonly { script: Runnable; keys: string[]; args: (string | number)[] }[],
    last: Call,
  ): Promise<unknown[]> {
    const calls = await Promise.all(runs.map(({ script, keys, args }) => this.#evalsha(script, keys, args)));
    return this.#exec([...calls, last]);
  }

  async #evalsha({ name, source }: Runnable, keys: string[], args: (string | number)[]): Promise<Call> {
    // One promise for all who wait for it, so that calls leave in the order in which they were made.
    const sha = this.#shas.get(name) ?? hexDigest("SHA-1", source);
    this.#shas.set(name, sha);
    return ["EVALSHA", await sha, keys.length, ...keys, ...args];
  }

  /** Which node of a cluster serves a key, as far as is known: a name that is the same for all keys of that node. */
  async nodeOf(key: string): Promise<string> {
    if (!(this.#link instanceof Cluster)) return "";
    const tag = tagOf(key);
    const slot = this.#slots.get(tag) ?? Number(await this.call("CLUSTER", "KEYSLOT", key));
    this.#slots.set(tag, slot);
    return this.#link.slots[slot]?.join() ?? "";
  }

  /** Every server that keys are written at: of a cluster its masters, each over the connection that calls go over. */
  masters(): Client[] {
    return this.#link instanceof Cluster ? this.#link.nodes("master").map((node) => this.#clientOf(node)) : [this];
  }

  #clientOf(node: Redis): Client {
    const client = this.#nodes.get(node) ?? new Client(node);
    this.#nodes.set(node, client);
    return client;
  }

  /** The server's `HOST:PORT`, of a cluster that of one of its nodes. */
  get address(): string {
    return addressOf(this.#link);
  }

  /** The server's address, and what is known of why it does not answer. */
  #where(): Whereabouts {
    return { address: this.address, trouble: () => this.#trouble };
  }

  /** Ends the connection at once. Idempotent. */
  close(): void {
    this.#link.disconnect();
  }
}

function isElsewhere(reply: unknown): boolean {
  return reply instanceof MillraceError && reply.cause instanceof Error && ELSEWHERE.test(reply.cause.message);
}

function addressOf(link: Link): string {
  const [node] = link instanceof Cluster ? link.nodes() : [link];
  return node === undefined ? "" : `${node.options.host}:${node.options.port}`;
}

/** How a connection for calls is opened: each has a deadline. */
export function callOptions(name: string): RedisOptions {
  const deadlines = { commandTimeout: CALL_DEADLINE_MS, socketTimeout: 2 * CALL_DEADLINE_MS };
  // A server that has become a replica stays one: its name, or sentinels, lead to the new primary.
  const reconnectOnError = (error: Error) => error.message.startsWith("READONLY");
  return { ...commonOptions(name), ...deadlines, maxRetriesPerRequest: 20, reconnectOnError };
}

/** Opens a connection to one server for calls. @param more what else it is opened with, or instead */
export function openForCalls(url: string, name: string, more: RedisOptions = {}): Redis {
  return new Redis(url, { ...callOptions(name), ...more });
}

/**
 * How a connection for blocking reads is opened. It is for one life: when it breaks, the read that waits fails at once and so
 * does every later call, so that its owner opens a new one and looks for what was delivered to the broken one.
 */
export function readerOptions(name: string): RedisOptions {
  return { ...commonOptions(name), retryStrategy: () => null };
}

/** What every connection is opened with. */
function commonOptions(name: string): RedisOptions {
  return {
    protocol: 3,
    connectionName: name,
    connectTimeout: 5_000,
    keepAlive: 30_000,
    retryStrategy: (times) => pauseMs(times, RECONNECT_FROM_MS, RECONNECT_TO_MS),
  };
}

interface Whereabouts {
  address: string;
  trouble: () => Error | undefined;
}

function allOf(replies: unknown[]): unknown[] {
  for (const reply of replies) if (reply instanceof MillraceError) throw reply;
  return replies;
}

/** What to make of an error of a call. */
export function classify(what: string, error: unknown, where?: Whereabouts): MillraceError {
  const message = error instanceof Error ? error.message : String(error);
  const replied = error instanceof Error && error.name === "ReplyError";
  if (replied && !PASSING.test(message)) return new MillraceError("redis", `${what}: ${message}`, { cause: error });
  const trouble = replied ? undefined : where?.trouble();
  const address = where === undefined ? "" : ` at ${where.address}`;
  return new UnavailableError(`Redis${address} is not available: ${trouble?.message || message}`, { cause: error });
}
