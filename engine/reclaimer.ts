import type { Entry, StepStream } from "./entry.ts";
import type { HeldAttempts } from "./held.ts";
import type { PartitionKeys } from "./keys.ts";
import { logger } from "./log.ts";
import type { Records } from "./records.ts";
import { Loop, type Service } from "./service.ts";
import type { Sources } from "./sources.ts";
import type { Looks } from "./store/look-store.ts";
import type { Store } from "./store.ts";
import { tell, type WorkerObserver } from "./worker-observer.ts";

const log = logger("reclaimer");

/** A worker that was not heard of for so many leases is taken off the list, once nothing is pending for it. */
const RETIRE_LEASES = 6;
/** So many dead workers are looked at in one go. */
const RETIRE_AT_ONCE = 50;
/** Of the ten looks in a lease, every so many looks for own entries too. */
const PASSES_PER_RECOVERY = 3;

export interface ReclaimerOptions {
  store: Store;
  records: Records;
  keys: PartitionKeys;
  consumer: string;
  sources: Sources;
  held: HeldAttempts;
  leaseMs: number;
  observer?: WorkerObserver | undefined;
  /** What is pending in streams, and undelivered. */
  look(streams: readonly StepStream[]): Promise<Looks>;
  begin(entries: Entry[]): void;
}

/**
 * Takes over, for free slots, what workers that died had in hand, but for steps that are paused, whose turn comes when
 * they are resumed; and takes them off the list. Of what is on its last
 * chance the worker has one at a time, so that a step that kills its worker is told from those that ran beside it.
 */
export class Reclaimer implements Service {
  readonly #options: ReclaimerOptions;
  readonly #loop: Loop;
  #pass = 0;

  constructor(options: ReclaimerOptions) {
    this.#options = options;
    this.#loop = new Loop("reclaimer", options.leaseMs / 10, () => this.runOnce());
  }

  start(): void {
    this.#loop.start();
  }

  stop(): Promise<void> {
    return this.#loop.stop();
  }

  async runOnce(): Promise<number | undefined> {
    const { sources, held, look } = this.#options;
    const { pending, own } = await look(sources.all);
    if (this.#pass++ % PASSES_PER_RECOVERY === 0) await this.#recoverOwn(own);
    for (const stream of sources.open) {
      if (!pending.has(stream) || held.freeOf(stream) <= 0 || !(await this.#takeOver(stream, 0))) continue;
      // Other partitions are looked through at the same time, and what kills this worker would take theirs along.
      const done = held.lastChance();
      if (done === undefined) continue;
      try {
        await this.#takeOver(stream, 1);
      } finally {
        done();
      }
    }
    await this.#retireTheDead();
    return undefined;
  }

  /** Whether some were left that are on their last chance. */
  async #takeOver(stream: StepStream, lastChances: number): Promise<boolean> {
    const { store, consumer, held, leaseMs, observer, begin } = this.#options;
    let isLeft = false;
    const left = () => {
      isLeft = true;
    };
    const free = held.freeOf(stream);
    const taken = await store.reclaim(stream, consumer, "expired", leaseMs, free, held.of(stream), lastChances, left);
    for (const entry of taken) log.info("took over {step} of run {run}", { step: stream.step.name, run: entry.run });
    if (taken.length > 0 && observer !== undefined) {
      const { workflow, version } = stream.graph;
      tell(observer, "reclaimed", { workflow, version, step: stream.step.name }, taken.length);
    }
    begin(taken);
    return isLeft;
  }

  /** What was delivered to this worker in a reply that never came is not the fault of any attempt. */
  async #recoverOwn(streams: Iterable<StepStream>): Promise<void> {
    const { store, consumer, held, leaseMs, begin } = this.#options;
    for (const stream of streams) {
      const free = held.freeOf(stream);
      if (free > 0) begin(await store.reclaim(stream, consumer, "own", leaseMs / 2, free, held.begun(stream)));
    }
  }

  async #retireTheDead(): Promise<void> {
    const { store, records, keys, consumer, leaseMs } = this.#options;
    const workers = await records.workers(keys);
    const dead = workers.filter((each) => each.seenAgoMs > RETIRE_LEASES * leaseMs && each.consumer !== consumer);
    for (const worker of dead.slice(0, RETIRE_AT_ONCE)) {
      if (await store.retire(worker.consumer, keys, worker.streams)) log.info("retired {consumer}", { ...worker });
    }
  }
}
