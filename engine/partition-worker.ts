import { Bell } from "./bell.ts";
import { Committer } from "./committer.ts";
import { internalsOf } from "./connect.ts";
import { continuations } from "./continuations.ts";
import type { Entry, StepStream } from "./entry.ts";
import { Heartbeat } from "./heartbeat.ts";
import type { HeldAttempts } from "./held.ts";
import type { PartitionKeys } from "./keys.ts";
import { logger } from "./log.ts";
import type { Millrace } from "./millrace.ts";
import { Parker } from "./parker.ts";
import type { ReadHealth } from "./read-health.ts";
import { Reader } from "./reader.ts";
import { Reclaimer } from "./reclaimer.ts";
import { Reconciler } from "./reconciler.ts";
import { Retention } from "./retention.ts";
import { Sources } from "./sources.ts";
import type { GateStore } from "./store/gate-store.ts";
import { lookAt } from "./store/look-store.ts";
import { PauseStore } from "./store/pause-store.ts";
import { ReconcileStore } from "./store/reconcile-store.ts";
import { RetentionStore } from "./store/retention-store.ts";
import { TimerStore } from "./store/timer-store.ts";
import { Timers } from "./timers.ts";
import type { WorkerObserver } from "./worker-observer.ts";

const log = logger("worker");

/** What is said on the control channel when a run is ended from outside; all else is of what there is to read. */
const ENDED = /^(cancelled|expired) /;

export interface PartitionWorkerOptions {
  millrace: Millrace;
  keys: PartitionKeys;
  consumer: string;
  /** The normal lane of each of its steps. */
  streams: readonly StepStream[];
  /** What the worker holds in all partitions together. */
  held: HeldAttempts;
  gates: GateStore;
  leaseMs: number;
  /** Whether it looks for what is lost. */
  reconcile: boolean;
  observer: WorkerObserver | undefined;
  /** Begins the work on entries, or gives back those for which there is no slot. */
  begin(entries: Entry[]): void;
}

/** What a worker runs for one partition: it reads there, keeps its leases, stores what comes of them and carries out timers. */
export class PartitionWorker {
  readonly committer: Committer;
  readonly parker: Parker;
  readonly sources: Sources;
  readonly heartbeat: Heartbeat;
  readonly timers: Timers;
  readonly reconciler: Reconciler;
  readonly #options: PartitionWorkerOptions;
  readonly #reader: Reader;
  readonly #reclaimer: Reclaimer;
  readonly #retention: Retention;
  #stopListening: (() => void) | undefined;

  constructor(options: PartitionWorkerOptions) {
    this.#options = options;
    const { millrace, keys, consumer, streams, held, gates, leaseMs, observer, begin } = options;
    const internals = internalsOf(millrace);
    const { client, store, lanes, records, deletion } = internals;
    const pauses = new PauseStore(client, keys);
    const sources = new Sources({ client, keys, lanes, pauses, streams });
    this.sources = sources;
    this.committer = new Committer(store, consumer, () => this.timers.wake(0));
    this.parker = new Parker(pauses, consumer);
    this.timers = new Timers(new TimerStore(client, keys), continuations({ ...internals, pauses, gates, keys }));
    this.heartbeat = new Heartbeat(store, consumer, sources, held, leaseMs, () => this.health);
    this.#reclaimer = new Reclaimer({
      ...{ store, records, keys, consumer, sources, held, leaseMs, observer, begin },
      look: (all) => lookAt(client, consumer, all),
    });
    this.#retention = new Retention({
      ...{ deletion, graphs: internals.allGraphs, owner: consumer, partitions: store.partitions.count },
      store: new RetentionStore(client, store.keys, keys),
      policies: new Map([...millrace.workflows].map(([name, { settings }]) => [name, settings.retention])),
    });
    this.reconciler = new Reconciler({
      ...{ keys, owner: consumer, schedules: internals.schedules },
      store: new ReconcileStore({
        ...{ client, space: store.keys, keys, lanes, openNode: internals.openReader },
        graph: internals.knownGraph,
      }),
      restore: async () => {
        const isLoss = await internals.restore();
        await gates.restore(streams);
        return isLoss;
      },
    });
    this.#reader = new Reader({
      ...{ store, consumer, sources, held, begin },
      connect: () => internals.openReader(keys),
      bell: (onRing) => new Bell(internals.subscriber(), keys.bell(), onRing),
      unblock: (connection) => internals.unblock(keys, connection),
      backlog: () => (this.committer.full ? this.committer.stored() : undefined),
      onReconnect: (isLoss) => {
        this.heartbeat.wake();
        this.reconciler.wake(isLoss);
      },
    });
  }

  /** How its reads are doing. */
  get health(): ReadHealth {
    return this.#reader.health;
  }

  /** Finds out what there is to read, and carries out what came due while no worker ran. */
  async prepare(): Promise<void> {
    await this.sources.runOnce();
    const subscriber = internalsOf(this.#options.millrace).subscriber();
    const { heard, leave } = subscriber.listen(this.#options.keys.control(), {
      message: (text) => (ENDED.test(text) ? this.heartbeat : this.sources).wake(),
      missed: () => {
        this.sources.wake();
        this.heartbeat.wake();
      },
    });
    this.#stopListening = leave;
    await heard.catch((error) => log.warn("cancelling is heard of by heartbeats alone for now: {error}", { error }));
    await this.timers.catchUp();
  }

  start(): void {
    const loops: { start(): void }[] = [this.sources, this.heartbeat, this.timers, this.#retention, this.#reclaimer];
    if (this.#options.reconcile) loops.push(this.reconciler);
    for (const loop of loops) loop.start();
    this.#reader.start();
  }

  /** Takes nothing new, and carries out no more timers; leases are kept. */
  async stopReading(): Promise<void> {
    const loops = [this.#reader, this.sources, this.#reclaimer, this.timers, this.#retention, this.reconciler];
    await Promise.all(loops.map((loop) => loop.stop()));
  }

  /** Stores nothing more, and takes the worker off the list. */
  async stop(): Promise<void> {
    this.committer.close();
    this.parker.close();
    await this.heartbeat.stop();
    this.#stopListening?.();
    const { keys, consumer, millrace } = this.#options;
    const streams = this.sources.all.map((stream) => stream.key);
    try {
      await internalsOf(millrace).store.retire(consumer, keys, streams);
    } catch (error) {
      log.info("not taken off the list, which others will do: {error}", { error });
    }
  }
}
