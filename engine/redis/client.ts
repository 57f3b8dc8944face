import { Redis, type RedisOptions } from "ioredis";
import { hexDigest } from "../digest.ts";
import { MillraceError, UnavailableError } from "../errors.ts";
import { logger } from "../log.ts";
import { pauseMs } from "../retry.ts";
import { type KeepAlive, keepAlive } from "./keep-alive.ts";
import { serverTimeMs } from "./time.ts";

const log = logger("redis");

/** One command: its name and arguments. */
export type Call = [name: string, ...args: (string | number)[]];

/** A script as `run` takes it. */
export interface Runnable {
  readonly name: string;
  readonly source: string;
}

/** Replies of a server that is there but cannot serve just now; the same call may succeed later. */
const PASSING = /^(LOADING|BUSY|MASTERDOWN|NOREPLICAS|READONLY|CLUSTERDOWN|TRYAGAIN|MISCONF|OOM|UNBLOCKED|NOAUTH)\b/;

export const CALL_DEADLINE_MS = 5_000;
const RECONNECT_FROM_MS = 50;
const RECONNECT_TO_MS = 2_000;

/**
 * One connection to Redis. It reconnects by itself for as long as it is open; a call made meanwhile waits for that, up
 * to its deadline. A call that was under way when a connection broke is sent again on the next, so every write made over
 * it must be idempotent.
 */
export class Client {
  readonly #redis: Redis;
  readonly #shas = new Map<string, Promise<string>>();
  #connected = 0;
  /** Why there is no connection, while there is none. */
  #trouble: Error | undefined;

  constructor(redis: Redis, onReconnect?: () => void) {
    this.#redis = redis;
    redis.on("ready", () => {
      this.#trouble = undefined;
      this.#connected += 1;
      if (this.#connected > 1) onReconnect?.();
    });
    // Every call reports its own failure; this tells of attempts to reconnect.
    redis.on("error", (error) => {
      this.#trouble = error;
      log.debug("connection: {error}", { error });
    });
  }

  /** @throws UnavailableError if Redis cannot be reached, does not answer in time or cannot serve now; MillraceError
   *   `redis` for any other error reply */
  async call(...[name, ...args]: Call): Promise<unknown> {
    try {
      return await this.#redis.call(name, ...args);
    } catch (error) {
      throw classify(name, error, this.#where());
    }
  }

  /** Sends calls together; their replies in order. @throws as `call`, for the first that failed */
  async pipeline(calls: Call[]): Promise<unknown[]> {
    return allOf(await this.replies(calls));
  }

  /** Sends calls together; of each its reply or its MillraceError. @throws UnavailableError */
  async replies(calls: Call[]): Promise<unknown[]> {
    return exec(this.#where(), this.#redis.pipeline(calls.map(([name, ...args]) => ["call", name, ...args])));
  }

  /** Sends calls together; their replies in order, and the time of runs just before them. @throws as `call` */
  async timed(calls: Call[]): Promise<{ nowMs: number; replies: unknown[] }> {
    const [time, ...replies] = await this.pipeline([["TIME"], ...calls]);
    return { nowMs: serverTimeMs(time as [string, string]), replies };
  }

  /** Runs a script by its digest, and by its source where the server does not know it (any more). */
  async run(script: Runnable, keys: string[], args: (string | number)[]): Promise<unknown> {
    // One promise for all who wait for it, so that calls leave in the order in which they were made.
    let sha = this.#shas.get(script.name);
    if (sha === undefined) {
      sha = hexDigest("SHA-1", script.source);
      this.#shas.set(script.name, sha);
    }
    try {
      return await this.#redis.call("EVALSHA", await sha, keys.length, ...keys, ...args);
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith("NOSCRIPT")))
        throw classify(script.name, error, this.#where());
    }
    return this.call("EVAL", script.source, keys.length, ...keys, ...args);
  }

  /** The server's address, and what is known of why it does not answer. */
  #where(): Whereabouts {
    const { host, port } = this.#redis.options;
    return { address: `${host}:${port}`, trouble: () => this.#trouble };
  }

  /** Ends the connection at once. Idempotent. */
  close(): void {
    this.#redis.disconnect();
  }
}

/** Opens a connection for calls that must settle: each has a deadline. */
export function openClient(url: string, name: string, onReconnect?: () => void, keep?: KeepAlive): Client {
  return new Client(openForCalls(url, name, keep), onReconnect);
}

/** What `openClient` makes a client of. */
export function openForCalls(url: string, name: string, keep?: KeepAlive): Redis {
  const options = { ...commonOptions(name), commandTimeout: CALL_DEADLINE_MS, socketTimeout: 2 * CALL_DEADLINE_MS };
  return openRedis(url, { ...options, maxRetriesPerRequest: 20 }, keep);
}

/**
 * Opens a connection for blocking reads. It is for one life: when it breaks, the read that waits fails at once and so does
 * every later call, so that its owner opens a new one and looks for what was delivered to the broken one.
 */
export function openReader(url: string, name: string, keep?: KeepAlive): Client {
  return new Client(openRedis(url, { ...commonOptions(name), retryStrategy: () => null }, keep));
}

/** What every connection is opened with. */
export function commonOptions(name: string): RedisOptions {
  return {
    protocol: 3,
    connectionName: name,
    connectTimeout: 5_000,
    keepAlive: 30_000,
    retryStrategy: (times) => pauseMs(times, RECONNECT_FROM_MS, RECONNECT_TO_MS),
  };
}

/** @throws MillraceError `bad_redis_url` */
export function openRedis(url: string, options: RedisOptions, keep?: KeepAlive): Redis {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch (cause) {
    throw new MillraceError("bad_redis_url", "REDIS_URL is not a URL such as redis://localhost:6379", { cause });
  }
  if (parsed.protocol !== "redis:" && parsed.protocol !== "rediss:")
    throw new MillraceError(
      "bad_redis_url",
      `REDIS_URL must begin with redis:// or rediss://, not ${parsed.protocol}//`,
    );
  const redis = new Redis(url, options);
  keepAlive(redis, keep);
  return redis;
}

interface Whereabouts {
  address: string;
  trouble: () => Error | undefined;
}

async function exec(where: Whereabouts, pipeline: ReturnType<Redis["pipeline"]>): Promise<unknown[]> {
  let replies: [Error | null, unknown][] | null;
  try {
    replies = await pipeline.exec();
  } catch (error) {
    throw classify("pipeline", error, where);
  }
  return (replies ?? []).map(([error, reply]) => (error === null ? reply : classify("pipeline", error, where)));
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
