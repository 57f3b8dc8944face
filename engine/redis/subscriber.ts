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

/** Hears every channel that a pattern names. */
export interface PatternListener {
  message(channel: string, text: string): void;
  /** As of a channel. */
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

/** How the connection that hears what is published is doing. */
export interface HearingHealth {
  isHearing: boolean;
  silentMs: number;
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
  #heardAt = performance.now();
  #redis: Redis;
  readonly #listeners = new Map<string, Set<ChannelListener>>();
  readonly #patterns = new Map<string, Set<PatternListener>>();
  readonly #followers = new Set<(isHearing: boolean) => void>();
  #isHearing = true;
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
      this.#heardAt = performance.now();
    };
    this.listen(beat.channel, { message: heard, missed: heard }).heard.catch((error) =>
      log.debug("beat: {error}", { error }),
    );
    this.#beating = setInterval(() => this.#lookForBeat(beat), beat.everyMs ?? BEAT_MS);
  }

  /**
   * From here on the listener is told what is heard, and when something may have been missed, until `leave` is called. Of what
   * comes after a loss it is told nothing before that.
   * `heard` resolves once the channel is heard. If it rejects, with an UnavailableError, it may still be later.
   */
  listen(channel: string, listener: ChannelListener): Listening {
    // Subscribing again to what is heard already costs little and makes the second listener wait for the first one's.
    const heard = this.#add(this.#listeners, channel, listener, (redis) => redis.subscribe(channel));
    return {
      heard,
      leave: () => this.#leave(this.#listeners, channel, listener, (redis) => redis.unsubscribe(channel)),
    };
  }

  /** The same of all channels that a pattern names, as `PSUBSCRIBE` reads it. */
  listenPattern(pattern: string, listener: PatternListener): Listening {
    const heard = this.#add(this.#patterns, pattern, listener, (redis) => redis.psubscribe(pattern));
    return {
      heard,
      leave: () => this.#leave(this.#patterns, pattern, listener, (redis) => redis.punsubscribe(pattern)),
    };
  }

  /**
   * Calls `follower` whenever the connection is lost (`false`), and when all is heard again that is listened to (`true`); at once
   * if it is lost just now.
   *
   * @returns stops it
   */
  follow(follower: (isHearing: boolean) => void): () => void {
    this.#followers.add(follower);
    if (!this.#isHearing) follower(false);
    return () => this.#followers.delete(follower);
  }

  /** Whether it is connected, and how long ago it last heard itself, in ms; 0 where it does not look. */
  get health(): HearingHealth {
    const silentMs = this.#beating === undefined ? 0 : Math.round(performance.now() - this.#heardAt);
    return { isHearing: this.#isHearing, silentMs };
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#reopening);
    clearInterval(this.#beating);
    this.#listeners.clear();
    this.#patterns.clear();
    this.#followers.clear();
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
      for (const listener of this.#heardBy(this.#listeners, channel)) listener.message(text);
    });
    redis.on("pmessage", (pattern: string, channel: string, text: string) => {
      for (const listener of this.#heardBy(this.#patterns, pattern)) listener.message(channel, text);
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
    this.#hearing(false);
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

  #add<T>(all: Map<string, Set<T>>, name: string, listener: T, subscribe: (redis: Redis) => Promise<unknown>) {
    const listeners = all.get(name) ?? new Set();
    all.set(name, listeners);
    listeners.add(listener);
    return subscribe(this.#redis).then(
      () => undefined,
      (error) => {
        throw classify("subscribe", error);
      },
    );
  }

  #leave<T>(
    all: Map<string, Set<T>>,
    name: string,
    listener: T,
    unsubscribe: (redis: Redis) => Promise<unknown>,
  ): void {
    const listeners = all.get(name);
    if (listeners === undefined || !listeners.delete(listener) || listeners.size > 0) return;
    all.delete(name);
    // If this fails the connection is gone, and the subscription with it.
    unsubscribe(this.#redis).catch((error) => log.debug("unsubscribe: {error}", { error }));
  }

  #ready(): void {
    this.#failures = 0;
    const redis = this.#redis;
    if (this.#isFirst) return;
    const channels = [...this.#listeners.keys()];
    const patterns = [...this.#patterns.keys()];
    Promise.allSettled([
      channels.length > 0 && redis.subscribe(...channels),
      patterns.length > 0 && redis.psubscribe(...patterns),
    ]).then((settled) => {
      for (const each of settled)
        if (each.status === "rejected") log.debug("subscribe again: {error}", { error: each.reason });
      if (redis !== this.#redis || redis.status !== "ready") return;
      this.#hearing(true);
      for (const listeners of [...this.#listeners.values(), ...this.#patterns.values()])
        for (const listener of listeners) listener.missed();
    });
  }

  /** Nothing is told between a loss and the word of it: listeners would take what comes for what follows. */
  #heardBy<T>(all: Map<string, Set<T>>, name: string): Iterable<T> {
    return (this.#isHearing && all.get(name)) || [];
  }

  #hearing(isHearing: boolean): void {
    if (this.#isHearing === isHearing) return;
    this.#isHearing = isHearing;
    for (const follower of this.#followers) follower(isHearing);
  }
}
