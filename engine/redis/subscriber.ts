import type { Redis, RedisOptions } from "ioredis";
import { logger } from "../log.ts";
import { pauseMs } from "../retry.ts";
import { CALL_DEADLINE_MS, classify, RECONNECT_FROM_MS, RECONNECT_TO_MS } from "./client.ts";
import { type KeepAlive, keepAlive } from "./keep-alive.ts";

const log = logger("subscriber");

/** A subscriber hears nothing for long: pings tell a silent channel from a dead connection. */
const PING_MS = 4_000;
const SILENCE_MS = 5_000;
/** How often it publishes to itself, and how many of these it may fail to hear: a busy process hears one late. */
const BEAT_MS = 2_500;
const UNHEARD = 2;

export interface ChannelListener {
  message(text: string): void;
  /** Messages may have been missed: read what is stored. */
  missed(): void;
}

/** How a subscriber finds out that it is heard: by a channel of its own. */
export interface Beat {
  channel: string;
  /** Publishes an empty message there, over another connection. */
  publish(channel: string): Promise<unknown>;
  /** For tests to shorten. */
  everyMs?: number;
}

export interface Listening {
  heard: Promise<void>;
  leave(): void;
}

/**
 * The one connection of a process that hears pub/sub channels. Each channel is subscribed to while someone listens. What
 * is published while the connection is down is lost: listeners are told when it is back. Each time it is down a new one is
 * opened, on a cluster to any node. A connection may live and hear nothing, where its node has left the cluster or is cut off
 * from it: so it publishes to itself, and is thrown away if it does not hear that.
 */
export class Subscriber {
  readonly #open: (options: RedisOptions) => Redis;
  readonly #keep: KeepAlive;
  readonly #beating: ReturnType<typeof setInterval> | undefined;
  /** How many beats were published over other connections since it heard one. */
  #unheard = 0;
  #redis: Redis;
  readonly #listeners = new Map<string, Set<ChannelListener>>();
  #reopening: ReturnType<typeof setTimeout> | undefined;
  #failures = 0;
  #isFirst = true;
  #closed = false;

  /** @param open a connection to the server, or to some node of the cluster, with these options */
  constructor(open: (options: RedisOptions) => Redis, keep: KeepAlive = { pingEveryMs: PING_MS }, beat?: Beat) {
    this.#open = open;
    this.#keep = keep;
    this.#redis = this.#connect();
    if (beat === undefined) return;
    const heard = () => {
      this.#unheard = 0;
    };
    this.listen(beat.channel, { message: heard, missed: heard }).heard.catch((error) =>
      log.debug("beat: {error}", { error }),
    );
    this.#beating = setInterval(() => this.#lookForBeat(beat), beat.everyMs ?? BEAT_MS);
  }

  /**
   * From here on the listener is told what is heard, and when something may have been missed, until `leave` is called.
   * `heard` resolves once the channel is heard. If it rejects, with an UnavailableError, it may still be later.
   */
  listen(channel: string, listener: ChannelListener): Listening {
    let listeners = this.#listeners.get(channel);
    if (listeners === undefined) {
      listeners = new Set();
      this.#listeners.set(channel, listeners);
    }
    listeners.add(listener);
    // Subscribing again to what is heard already costs little and makes the second listener wait for the first one's.
    const heard = this.#redis.subscribe(channel).then(
      () => undefined,
      (error) => {
        throw classify("subscribe", error);
      },
    );
    return { heard, leave: () => this.#leave(channel, listener) };
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#reopening);
    clearInterval(this.#beating);
    this.#listeners.clear();
    this.#redis.disconnect();
  }

  #connect(): Redis {
    const deadlines = { commandTimeout: CALL_DEADLINE_MS, socketTimeout: SILENCE_MS, maxRetriesPerRequest: null };
    const redis = this.#open({ ...deadlines, autoResubscribe: false, retryStrategy: () => null });
    keepAlive(redis, this.#keep);
    redis.on("error", (error) => log.debug("connection: {error}", { error }));
    redis.on("ready", () => this.#ready());
    redis.on("end", () => this.#reopen());
    redis.on("message", (channel: string, text: string) => {
      for (const listener of this.#listeners.get(channel) ?? []) listener.message(text);
    });
    // What it fails with is heard as its end.
    if (redis.status === "wait") redis.connect().catch(() => {});
    return redis;
  }

  #lookForBeat({ channel, publish }: Beat): void {
    const redis = this.#redis;
    if (redis.status !== "ready") return;
    if (this.#unheard >= UNHEARD) {
      log.warn("the connection that hears channels hears nothing, and is replaced");
      this.#unheard = 0;
      redis.disconnect();
      return;
    }
    const published = () => {
      if (redis === this.#redis) this.#unheard += 1;
    };
    // What cannot be published says nothing about what is heard.
    publish(channel).then(published, (error) => log.debug("beat: {error}", { error }));
  }

  #reopen(): void {
    if (this.#closed) return;
    this.#isFirst = false;
    this.#failures += 1;
    const inMs = pauseMs(this.#failures, RECONNECT_FROM_MS, RECONNECT_TO_MS);
    this.#reopening = setTimeout(() => {
      try {
        this.#redis = this.#connect();
      } catch (error) {
        log.debug("connection: {error}", { error });
        this.#reopen();
      }
    }, inMs);
  }

  #leave(channel: string, listener: ChannelListener): void {
    const listeners = this.#listeners.get(channel);
    if (listeners === undefined || !listeners.delete(listener) || listeners.size > 0) return;
    this.#listeners.delete(channel);
    // If this fails the connection is gone, and the subscription with it.
    this.#redis.unsubscribe(channel).catch((error) => log.debug("unsubscribe: {error}", { error }));
  }

  #ready(): void {
    this.#failures = 0;
    const channels = [...this.#listeners.keys()];
    if (this.#isFirst || channels.length === 0) return;
    this.#redis.subscribe(...channels).then(
      () => {
        for (const listeners of this.#listeners.values()) for (const listener of listeners) listener.missed();
      },
      (error) => log.debug("subscribe again: {error}", { error }),
    );
  }
}
