import type { Redis } from "ioredis";
import { logger } from "../log.ts";
import { commonOptions, openRedis } from "./client.ts";

const log = logger("subscriber");

const PING_MS = 30_000;

export interface ChannelListener {
  message(text: string): void;
  /** Messages may have been missed: read what is stored. */
  missed(): void;
}

/**
 * The one connection of a process that hears pub/sub channels. Each channel is subscribed to while someone listens. What
 * is published while the connection is down is lost: listeners are told when it is back.
 */
export class Subscriber {
  readonly #redis: Redis;
  readonly #listeners = new Map<string, Set<ChannelListener>>();
  readonly #pinging: ReturnType<typeof setInterval>;
  #connected = 0;

  constructor(url: string, name: string) {
    this.#redis = openRedis(url, { ...commonOptions(name), maxRetriesPerRequest: null, autoResubscribe: false });
    this.#redis.on("error", (error) => log.debug("connection: {error}", { error }));
    this.#redis.on("ready", () => this.#ready());
    this.#redis.on("message", (channel: string, text: string) => {
      for (const listener of this.#listeners.get(channel) ?? []) listener.message(text);
    });
    this.#pinging = setInterval(() => this.#ping(), PING_MS);
  }

  /** Resolves once the channel is heard; the function it gives ends this listener's part. */
  async listen(channel: string, listener: ChannelListener): Promise<() => void> {
    let listeners = this.#listeners.get(channel);
    if (listeners === undefined) {
      listeners = new Set();
      this.#listeners.set(channel, listeners);
    }
    listeners.add(listener);
    try {
      // Subscribing again to what is heard already costs little and makes the second listener wait for the first one's.
      await this.#redis.subscribe(channel);
    } catch (error) {
      this.#leave(channel, listener);
      throw error;
    }
    return () => this.#leave(channel, listener);
  }

  /** How many channels are heard. */
  get channels(): number {
    return this.#listeners.size;
  }

  close(): void {
    clearInterval(this.#pinging);
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

  /** Some networks cut connections that are silent for minutes. */
  #ping(): void {
    if (this.#redis.status === "ready") this.#redis.ping().catch((error) => log.debug("ping: {error}", { error }));
  }
}
