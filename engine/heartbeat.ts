import { compareIds } from "./entry.ts";
import type { HeldAttempts } from "./held.ts";
import { Unwanted } from "./interrupted.ts";
import { logger } from "./log.ts";
import { Loop, type Service } from "./service.ts";
import type { Sources } from "./sources.ts";
import type { Store } from "./store.ts";

const log = logger("heartbeat");

/** Keeps this worker's leases: three heartbeats to a lease. An attempt whose lease is lost is told to stop. */
export class Heartbeat implements Service {
  readonly #loop: Loop;
  readonly #store: Store;
  readonly #consumer: string;
  readonly #sources: Sources;
  readonly #held: HeldAttempts;
  readonly #leaseMs: number;

  constructor(store: Store, consumer: string, sources: Sources, held: HeldAttempts, leaseMs: number) {
    this.#store = store;
    this.#consumer = consumer;
    this.#sources = sources;
    this.#held = held;
    this.#leaseMs = leaseMs;
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

  async runOnce(): Promise<number | undefined> {
    const streams = this.#sources.all;
    const held = streams.map((stream) => this.#held.of(stream).sort((a, b) => compareIds(a.id, b.id)));
    for (const entry of await this.#store.heartbeat(this.#consumer, this.#leaseMs, streams, held)) {
      const attempt = this.#held.find(entry);
      // One that has just been committed is not this worker's any more either.
      if (attempt === undefined || attempt.entry !== entry || attempt.over) continue;
      log.warn("the lease of {step} in run {run} is lost", { step: attempt.step, run: entry.run });
      attempt.abort(new Unwanted());
    }
    return undefined;
  }
}
