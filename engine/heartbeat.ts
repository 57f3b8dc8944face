import { compareIds, type Entry } from "./entry.ts";
import type { HeldAttempts } from "./held.ts";
import { logger } from "./log.ts";
import { abortLost } from "./lost.ts";
import type { ReadHealth } from "./read-health.ts";
import { Loop, type Service } from "./service.ts";
import type { Sources } from "./sources.ts";
import type { Store } from "./store.ts";

const log = logger("heartbeat");

/** However often handlers ask for a heartbeat, and however long the lease is, they get one this often. */
const ASKED_EVERY_MS = 1_000;

/** Keeps this worker's leases: three heartbeats to a lease. An attempt whose lease is lost is told to stop. */
export class Heartbeat implements Service {
  readonly #loop: Loop;
  readonly #store: Store;
  readonly #consumer: string;
  readonly #sources: Sources;
  readonly #held: HeldAttempts;
  readonly #leaseMs: number;
  readonly #health: () => ReadHealth;
  #beatAt = Number.NEGATIVE_INFINITY;
  #beating: Promise<void> | undefined;

  /** @param health of its reads, which it tells the others */
  constructor(
    store: Store,
    consumer: string,
    sources: Sources,
    held: HeldAttempts,
    leaseMs: number,
    health: () => ReadHealth,
  ) {
    this.#store = store;
    this.#consumer = consumer;
    this.#sources = sources;
    this.#held = held;
    this.#leaseMs = leaseMs;
    this.#health = health;
    this.#loop = new Loop("heartbeat", leaseMs / 3, () => this.runOnce());
  }

  start(): void {
    this.#loop.start();
  }

  stop(): Promise<void> {
    return this.#loop.stop();
  }

  /** Beats as soon as it can: after a lost connection, or when a run is said to be cancelled. */
  wake(): void {
    this.#loop.wake();
  }

  /** A heartbeat that a handler asks for: now, unless there was one just now. In any case others get their turn. */
  async beat(): Promise<void> {
    if (performance.now() - this.#beatAt < Math.min(ASKED_EVERY_MS, this.#leaseMs / 10))
      return new Promise((resolve) => setTimeout(resolve, 0));
    // One that cannot be had says nothing about the lease: the loop goes on trying, and tells.
    this.#beating ??= this.runOnce()
      .then(
        () => {},
        () => {},
      )
      .finally(() => {
        this.#beating = undefined;
      });
    let timer: ReturnType<typeof setTimeout> | undefined;
    const enough = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, this.#leaseMs / 3);
    });
    await Promise.race([this.#beating, enough]);
    clearTimeout(timer);
  }

  async #lose(entry: Entry): Promise<void> {
    const attempt = this.#held.find(entry);
    // One that has just been committed is not this worker's any more either.
    if (attempt === undefined || attempt.entry !== entry || attempt.over) return;
    log.warn("the lease of {step} in run {run} is lost", { step: attempt.step, run: entry.run });
    await abortLost(attempt, this.#store);
  }

  async runOnce(): Promise<number | undefined> {
    this.#beatAt = performance.now();
    const streams = this.#sources.all;
    const held = streams.map((stream) => this.#held.of(stream).sort((a, b) => compareIds(a.id, b.id)));
    const lost = await this.#store.heartbeat(this.#consumer, this.#leaseMs, streams, held, this.#health());
    await Promise.all(lost.map((entry) => this.#lose(entry)));
    return undefined;
  }
}
