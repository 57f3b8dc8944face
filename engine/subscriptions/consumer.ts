import { compareIds } from "../entry.ts";
import { NotFoundError } from "../errors.ts";
import { Interrupted, Unwanted } from "../interrupted.ts";
import { logger } from "../log.ts";
import { ReadWatch } from "../read-health.ts";
import type { Client } from "../redis/client.ts";
import { bounded } from "../redis/deadline.ts";
import { pauseMs, type RetryPolicy } from "../retry.ts";
import { Loop, within } from "../service.ts";
import type { SubscriptionStore } from "../store/subscription-store.ts";
import type { Delivery } from "./delivery.ts";
import { Handling, type HandlingOptions } from "./handling.ts";
import { parseSettings, type SubscriptionSettings } from "./settings.ts";
import type { SubscriptionConsumer, SubscriptionHandler } from "./types.ts";

const log = logger("subscriptions");

const BLOCK_MS = 2_000;
/** A blocking read that has not come back this long after it should have is on a dead connection. */
const GRACE_MS = 3_000;
const BACKOFF_FROM_MS = 50;
const BACKOFF_TO_MS = 2_000;
const REDELIVER_EVERY_MS = 500;
/** With so many events to be tried again, nothing new is taken: what fails fills the stream, which is capped, and no more. */
const MOST_RETRYING = 1_000;
/** An event that took down so many consumers is a dead letter. */
const CRASHES = 3;
/** So often in a lease it looks for what died with others. */
const LOOKS_PER_LEASE = 10;
/** Every so many of these looks it looks for entries of its own too. */
const LOOKS_PER_RECOVERY = 3;
const LAST_SETTLES_MS = 5_000;

export interface ConsumerOptions {
  /** Its name in the consumer group, the same in every partition. */
  id: string;
  store: SubscriptionStore;
  settings: SubscriptionSettings;
  handler: SubscriptionHandler;
  retry: RetryPolicy;
  concurrency: number;
  timeoutMs: number;
  leaseMs: number;
  drainMs: number;
  /** Opens a connection of the consumer's own; it blocks. */
  connect(): Promise<Client>;
  /** Ends the blocking read of the connection of this id. True if there was one. */
  unblock(connection: number): Promise<boolean>;
}

/**
 * Takes the events of one partition of a subscription, a few at a time, and keeps their leases while the handler is at
 * work. Nothing ends it but `stop`: whatever fails, it backs off and goes on with a new connection.
 */
export class Consumer implements SubscriptionConsumer {
  readonly id: string;
  readonly #options: ConsumerOptions;
  readonly #handling: HandlingOptions;
  readonly #held = new Map<string, Handling>();
  readonly #heartbeat: Loop;
  readonly #redelivery: Loop;
  #client: Client | undefined;
  #connection = 0;
  #blocking = false;
  #retrying = 0;
  #reading: Promise<void> | undefined;
  #stopping = false;
  #stopped: Promise<void> | undefined;
  #wake: (() => void) | undefined;
  readonly #watch = new ReadWatch();
  #looks = 0;
  #lookAt = 0;
  #paused: string | null = null;

  constructor(options: ConsumerOptions) {
    this.#options = options;
    this.id = options.id;
    const { store, settings, handler, retry, timeoutMs, leaseMs } = options;
    const onRetry = (inMs: number) => this.#redelivery.wake(inMs);
    this.#handling = { store, settings, handler, retry, timeoutMs, crashes: CRASHES, consumer: this.id, onRetry };
    this.#heartbeat = new Loop("subscription heartbeat", leaseMs / 3, () => this.#beat());
    this.#redelivery = new Loop("redelivery", REDELIVER_EVERY_MS, () => this.#redeliver());
  }

  get group(): string {
    return this.#options.settings.group;
  }

  get silentMs(): number {
    return this.#watch.health.silentMs;
  }

  start(): void {
    this.#heartbeat.start();
    this.#redelivery.start();
    this.#reading = this.#run();
  }

  /** Puts back what is to be tried again by now, which it otherwise does when it looks for that next. */
  redeliver(): Promise<void> {
    return this.#redelivery.runNow();
  }

  stop(): Promise<void> {
    this.#stopping = true;
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    const { store, drainMs } = this.#options;
    this.#wake?.();
    if (this.#blocking) void this.#unblock();
    await Promise.all([this.#reading, this.#redelivery.stop()]);
    const ended = () => Promise.allSettled([...this.#held.values()].map((each) => each.ended));
    await within(ended(), drainMs);
    for (const each of this.#held.values()) each.abort(new Interrupted());
    await within(ended(), LAST_SETTLES_MS);
    await this.#heartbeat.stop();
    await store.retire(this.group, this.id).catch((error) => {
      log.info("not taken off the list, which others will do: {error}", { error });
    });
  }

  async #run(): Promise<void> {
    let failures = 0;
    while (!this.#stopping) {
      try {
        this.#client ??= await this.#connect(failures > 0);
        await this.#readOnce(this.#client);
        this.#watch.finished();
        failures = 0;
      } catch (error) {
        this.#watch.failed(error);
        this.#client?.close();
        this.#client = undefined;
        failures += 1;
        log.warn("reading of subscription {group} failed, and is tried again: {error}", { group: this.group, error });
        await this.#pause(pauseMs(failures, BACKOFF_FROM_MS, BACKOFF_TO_MS));
      }
    }
    this.#client?.close();
  }

  /** @throws NotFoundError once the subscription was deleted; it may come back */
  async #connect(again: boolean): Promise<Client> {
    const { store, connect } = this.#options;
    if ((await store.standing(this.group))[0] === null) throw new NotFoundError("subscription", this.group);
    const client = await connect();
    try {
      this.#connection = (await bounded(client.call("CLIENT", "ID"), GRACE_MS)) as number;
      if (again) {
        this.#heartbeat.wake();
        await this.#recoverOwn(0);
      }
    } catch (error) {
      client.close();
      throw error;
    }
    return client;
  }

  /** One thing at a time takes events, so that there are never more in hand than are wanted. */
  async #readOnce(client: Client): Promise<void> {
    const { store, leaseMs } = this.#options;
    const everyMs = Math.min(BLOCK_MS, leaseMs / LOOKS_PER_LEASE);
    if (performance.now() >= this.#lookAt) {
      await this.#reclaim();
      this.#lookAt = performance.now() + everyMs;
    }
    const free = this.#free;
    if (free <= 0) {
      await this.#pause(everyMs);
      return;
    }
    if (this.#stopping) return;
    this.#blocking = true;
    try {
      const read = store.read(client, this.group, this.id, free, Math.ceil(everyMs));
      this.#begin(await bounded(read, everyMs + GRACE_MS));
    } finally {
      this.#blocking = false;
    }
  }

  get #free(): number {
    return this.#retrying >= MOST_RETRYING ? 0 : this.#options.concurrency - this.#held.size;
  }

  #begin(deliveries: readonly Delivery[]): void {
    for (const delivery of deliveries) {
      const known = this.#held.get(delivery.id);
      if (known !== undefined && known.delivery.count >= delivery.count) continue;
      known?.abort(new Unwanted());
      const handling = new Handling(delivery, this.#handling);
      this.#held.set(delivery.id, handling);
      void handling.ended.finally(() => {
        if (this.#held.get(delivery.id) === handling) this.#held.delete(delivery.id);
        this.#wake?.();
      });
      // One that came while the consumer stops goes back.
      if (this.#stopping) handling.abort(new Interrupted());
    }
  }

  get #deliveries(): Delivery[] {
    return [...this.#held.values()].map((each) => each.delivery).sort((a, b) => compareIds(a.id, b.id));
  }

  async #beat(): Promise<undefined> {
    const { store, leaseMs, settings } = this.#options;
    for (const lost of await store.heartbeat(this.group, this.id, leaseMs, this.#deliveries, this.#watch.health)) {
      const handling = this.#held.get(lost.id);
      if (handling === undefined || handling.delivery !== lost || handling.over) continue;
      log.warn("the lease of an event of run {run} is lost", { run: lost.event.run, group: this.group });
      handling.abort(new Unwanted());
    }
    const [of, paused] = await store.standing(this.group);
    if (of !== null) settings.maxBytes = parseSettings(this.group, of).maxBytes;
    if (paused !== null && this.#paused === null)
      log.error("subscription {group} is paused and takes no events: {paused}", { group: this.group, paused });
    this.#paused = paused;
    return undefined;
  }

  async #reclaim(): Promise<void> {
    const { store, leaseMs } = this.#options;
    if (this.#looks++ % LOOKS_PER_RECOVERY === 0) await this.#recoverOwn(leaseMs / 2);
    const limit = this.#free;
    if (limit <= 0) return;
    const lastChances = this.#deliveries.some(({ crashes }) => crashes === CRASHES - 1) ? 0 : 1;
    const limits = { leaseMs, limit, crashes: CRASHES, lastChances };
    this.#begin(await store.reclaim(this.group, this.id, "expired", limits, this.#deliveries));
  }

  /** What was delivered in a reply that never came. */
  async #recoverOwn(idleMs: number): Promise<void> {
    const limit = this.#free;
    if (limit <= 0) return;
    const limits = { leaseMs: idleMs, limit, crashes: 0, lastChances: 0 };
    this.#begin(await this.#options.store.reclaim(this.group, this.id, "own", limits, this.#deliveries));
  }

  async #redeliver(): Promise<number | undefined> {
    const { waiting, nextMs } = await this.#options.store.redeliver(this.group);
    this.#retrying = waiting;
    return nextMs;
  }

  /** Waits for `ms`, until something in hand has ended, or for `stop`. */
  async #pause(ms: number): Promise<void> {
    if (this.#stopping) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = undefined;
  }

  /** Ends the blocking read. It may not have reached Redis yet, so this is tried until it has ended. */
  async #unblock(): Promise<void> {
    const connection = this.#connection;
    for (let tries = 0; tries < 20 && this.#blocking && connection === this.#connection; tries += 1) {
      if (await this.#options.unblock(connection).catch(() => true)) return;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}
