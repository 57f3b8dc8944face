import type { Redis } from "ioredis";
import { logger } from "../log.ts";
import { CALL_DEADLINE_MS, classify, commonOptions, openRedis } from "./client.ts";
import type { KeepAlive } from "./keep-alive.ts";

const log = logger("subscriber");

/** A subscriber hears nothing for long: pings tell a silent channel from a dead connection. */
const PING_MS = 4_000;
const SILENCE_MS = 5_000;

export interface ChannelListener {
  message(text: string): void;
  /** Messages may have been missed: read what is stored. */
  missed(): void;
}

export interface Listening {
  heard: Promise<void>;
  leave(): void;
}

/**
 * The one connection of a process that hears pub/sub channels. Each channel is subscribed to while someone listens. What
 * is published while the connection is down is lost: listeners are told when it is back.
 */
export class Subscriber {
  readonly #redis: Redis;
  readonly #listeners = new Map<string, Set<ChannelListener>>();
  #connected = 0;

  constructor(url: string, name: string, keep: KeepAlive = { pingEveryMs: PING_MS }) {
    const deadlines = { commandTimeout: CALL_DEADLINE_MS, socketTimeout: SILENCE_MS, maxRetriesPerRequest: null };
    this.#redis = openRedis(url, { ...commonOptions(name), ...deadlines, autoResubscribe: false }, keep);
    this.#redis.on("error", (error) => log.debug("connection: {error}", { error }));
    this.#redis.on("ready", () => this.#ready());
    this.#redis.on("message", (channel: string, text: string) => {
      for (const listener of this.#listeners.get(channel) ?? []) listener.message(text);
    });
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
    this.#listeners.clear();
    this.#redis.disconnect();
  }

  #leave(channel: string, listener: ChannelListener): void {
    const listeners = this.#listeners.get(channel);
    if (listeners === undefined || !listeners.delete(listener) || listeners.size > 0) return;
    this.#listeners.delete(channel);
    // If this fails the connection is gone, and the subscription with it.
    this.#redis.unsubscribe(channel).catch((error) => log.debug("unsubscribe: {error}", { error }));
  }

  #ready(): void {
    this.#connected += 1;
    const channels = [...this.#listeners.keys()];
    if (this.#connected === 1 || channels.length === 0) return;
    this.#redis.subscribe(...channels).then(
      () => {
        for (const listeners of this.#listeners.values()) for (const listener of listeners) listener.missed();
      },
      (error) => log.debug("subscribe again: {error}", { error }),
    );
  }
}
