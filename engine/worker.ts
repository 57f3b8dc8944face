import { Attempt } from "./attempt.ts";
import type { AttemptSetting } from "./attempt-setting.ts";
import { Batches } from "./batches.ts";
import { Committer } from "./committer.ts";
import { internalsOf } from "./connect.ts";
import { continuations } from "./continuations.ts";
import type { Entry, StepStream } from "./entry.ts";
import { MillraceError } from "./errors.ts";
import { Executor } from "./executor.ts";
import { workflowVersion } from "./graph.ts";
import { Heartbeat } from "./heartbeat.ts";
import { HeldAttempts } from "./held.ts";
import { newId } from "./ids.ts";
import { Inputs } from "./inputs.ts";
import { Interrupted, Unwanted } from "./interrupted.ts";
import { logger } from "./log.ts";
import { abortLost } from "./lost.ts";
import type { Millrace } from "./millrace.ts";
import { Parker } from "./parker.ts";
import { Reader } from "./reader.ts";
import { Reclaimer } from "./reclaimer.ts";
import { Retention } from "./retention.ts";
import { within } from "./service.ts";
import { Sources } from "./sources.ts";
import { streamsOf } from "./step-places.ts";
import { GateStore } from "./store/gate-store.ts";
import { MemoStore } from "./store/memo-store.ts";
import { PauseStore } from "./store/pause-store.ts";
import { RetentionStore } from "./store/retention-store.ts";
import { TimerStore } from "./store/timer-store.ts";
import { Reply } from "./store.ts";
import { StrandedWatch } from "./stranded-watch.ts";
import { ensureGroups } from "./streams.ts";
import { Timers } from "./timers.ts";
import { liveWorkers } from "./versions.ts";
import type { WorkerOptions } from "./worker-options.ts";

export type { WorkerOptions };

const log = logger("worker");

/** What is said on the control channel when a run is cancelled; all else is of what there is to read. */
const CANCELLED = /^cancelled /;
/** How long a start of an attempt may stay untold: a shorter attempt tells it together with its end. */
const TELL_START_MS = 5;
/** How long what is left is given to be stored once the handlers are done. */
const LAST_COMMITS_MS = 5_000;

/** A process that runs steps. Made by `createWorker`. */
export class Worker {
  /** Unique for every start of a process: its name in the consumer groups. */
  readonly id = newId();
  readonly #options: Required<Omit<WorkerOptions, "steps">>;
  readonly #streams: StepStream[];
  readonly #sources: Sources;
  readonly #held: HeldAttempts;
  readonly #committer: Committer;
  readonly #parker: Parker;
  readonly #executor: Executor;
  readonly #batches: Batches;
  readonly #reader: Reader;
  readonly #heartbeat: Heartbeat;
  readonly #reclaimer: Reclaimer;
  readonly #timers: Timers;
  readonly #gates: GateStore;
  readonly #strandedWatch: StrandedWatch;
  readonly #retention: Retention;
  readonly #internals: ReturnType<typeof internalsOf>;
  readonly #setting: AttemptSetting;
  readonly #working = new Set<Promise<void>>();
  #untold: Attempt[] = [];
  #telling: ReturnType<typeof setTimeout> | undefined;
  #stopListening: (() => void) | undefined;
  #started: Promise<void> | undefined;
  #stopping = false;
  #stopped: Promise<void> | undefined;

  constructor(millrace: Millrace, options: WorkerOptions = {}) {
    const { concurrency = 32, steps = () => true, env = {}, leaseMs = 10_000, drainMs = 10_000 } = options;
    if (!(Number.isInteger(concurrency) && concurrency >= 1 && concurrency <= 10_000))
      throw new MillraceError("bad_option", "concurrency must be a whole number from 1 to 10000");
    if (!(leaseMs >= 100)) throw new MillraceError("bad_option", "leaseMs must be 100 or more");
    if (!(drainMs >= 0)) throw new MillraceError("bad_option", "drainMs must be 0 or more");
    this.#options = { concurrency, env, leaseMs, drainMs };
    this.#internals = internalsOf(millrace);
    const { client, store, lanes, records, blobs, values, config, cache, deletion } = this.#internals;
    const [keys] = store.allPartitions;
    this.#streams = this.#internals.definitions.flatMap((workflow) =>
      workflow.steps
        .filter((step) => steps(workflow.name, step.name))
        .flatMap((step) => streamsOf(keys!, workflow.graph, step, "normal")),
    );
    if (this.#streams.length === 0) throw new MillraceError("bad_option", "There is no step for this worker to serve.");

    const consumer = this.id;
    const pauses = new PauseStore(client, keys!);
    const sources = new Sources({ client, keys: keys!, lanes, pauses, streams: this.#streams });
    this.#sources = sources;
    this.#held = new HeldAttempts(concurrency);
    const wake = (inMs: number) => this.#timers.wake(inMs);
    this.#committer = new Committer(store, consumer, () => wake(0));
    this.#parker = new Parker(pauses, consumer);
    this.#gates = new GateStore(client, store);
    const rows = new TimerStore(client, keys!);
    this.#timers = new Timers(rows, continuations({ ...this.#internals, pauses, gates: this.#gates }));
    this.#batches = new Batches(concurrency);
    const batches = this.#batches;
    const parts = { store, lanes, values, inputs: new Inputs(store, values), consumer, handlers: new Map(), batches };
    this.#executor = new Executor(parts, this.#committer, wake);
    const lost = (attempt: Attempt) => abortLost(attempt, store);
    this.#setting = {
      ...{ committer: this.#committer, blobs, env, config, cache, lost },
      memory: { store: new MemoStore(client, (run) => store.partitionKeys(run), consumer), values, lost },
      beat: () => this.#heartbeat.beat(),
    };
    this.#retention = new Retention({
      ...{ deletion, graphs: this.#internals.allGraphs, owner: consumer },
      store: new RetentionStore(client, store.keys, keys!),
      policies: new Map([...millrace.workflows].map(([name, { settings }]) => [name, settings.retention])),
    });
    this.#heartbeat = new Heartbeat(store, consumer, sources, this.#held, leaseMs);
    const begin = (entries: Entry[]) => this.#begin(entries);
    this.#reclaimer = new Reclaimer({
      ...{ store, records, consumer, sources, leaseMs, begin },
      held: this.#held,
    });
    this.#strandedWatch = new StrandedWatch({
      consumer,
      workers: async () => (await liveWorkers(store, records)).map((worker) => worker.consumer),
      queues: () => millrace.queues(),
    });
    this.#reader = new Reader({
      ...{ store, consumer, sources, begin },
      held: this.#held,
      connect: this.#internals.openReader,
      unblock: async (connection) => (await this.#internals.client.call("CLIENT", "UNBLOCK", connection)) === 1,
      backlog: () => (this.#committer.full ? this.#committer.stored() : undefined),
      onReconnect: () => this.#heartbeat.wake(),
    });
  }

  get serves(): string[] {
    return [...new Set(this.#streams.map(({ graph, step }) => `${workflowVersion(graph)}:${step.name}`))];
  }

  /** How long ago a read of its streams last came back, in ms. */
  get silentMs(): number {
    return this.#reader.silentMs;
  }

  /** How many results came too late, and were refused: another worker had the step by then, or the run had ended. */
  get lateResults(): number {
    return this.#executor.refused;
  }

  /** Carries out up to 100 timer rows that are due, which it otherwise does when it looks for them next. */
  runTimers(): Promise<void> {
    return this.#timers.runNow();
  }

  /**
   * Makes its groups, then reads and works until `stop`. Idempotent; a worker that was stopped stays so.
   *
   * @throws UnavailableError if Redis cannot be reached
   */
  start(): Promise<void> {
    this.#started ??= this.#start();
    return this.#started;
  }

  async #start(): Promise<void> {
    const { client, store, subscriber, config } = this.#internals;
    await ensureGroups(client, this.#streams);
    await Promise.all([this.#sources.runOnce(), config.ready()]);
    const [keys] = store.allPartitions;
    await this.#gates.open(this.#streams);
    const { heard, leave } = subscriber().listen(keys!.control(), {
      message: (text) => (CANCELLED.test(text) ? this.#heartbeat : this.#sources).wake(),
      missed: () => {
        this.#sources.wake();
        this.#heartbeat.wake();
      },
    });
    this.#stopListening = leave;
    await heard.catch((error) => log.warn("cancelling is heard of by heartbeats alone for now: {error}", { error }));
    await this.#timers.catchUp();
    if (this.#stopping) return;
    this.#sources.start();
    this.#heartbeat.start();
    this.#timers.start();
    this.#retention.start();
    this.#reclaimer.start();
    this.#strandedWatch.start();
    this.#reader.start();
  }

  /**
   * Takes nothing new, lets the handlers finish for `drainMs`, aborts those that have not, and gives their steps back,
   * uncharged. Idempotent.
   */
  stop(): Promise<void> {
    this.#stopping = true;
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    await Promise.allSettled([this.#started]);
    this.#batches.close();
    const loops = [this.#reader, this.#sources, this.#reclaimer, this.#timers, this.#retention, this.#strandedWatch];
    await Promise.all(loops.map((loop) => loop.stop()));
    await within(Promise.all(this.#working), this.#options.drainMs);
    for (const attempt of this.#held.all()) attempt.abort(new Interrupted());
    await within(Promise.all(this.#working), LAST_COMMITS_MS);
    this.#committer.close();
    this.#parker.close();
    clearTimeout(this.#telling);
    await this.#heartbeat.stop();
    this.#stopListening?.();
    try {
      await this.#internals.store.retire(
        this.id,
        this.#sources.all.map((stream) => stream.key),
      );
    } catch (error) {
      log.info("not taken off the list, which others will do: {error}", { error });
    }
  }

  #begin(entries: Entry[]): void {
    for (const entry of entries) {
      const known = this.#held.find(entry);
      if (known !== undefined && known.entry.count >= entry.count) continue;
      if (known !== undefined) this.#drop(known);
      const attempt = new Attempt(entry, this.#setting);
      this.#held.add(attempt);
      if (this.#stopping || this.#sources.isPaused(entry.stream) || !this.#held.takeSlot(attempt)) {
        this.#track(attempt, this.#giveBack(entry));
        continue;
      }
      this.#track(attempt, this.#sources.isTenantPaused(entry.tenant) ? this.#park(attempt) : this.#run(attempt));
    }
  }

  #run(attempt: Attempt): Promise<Reply | undefined> {
    this.#untold.push(attempt);
    this.#telling ??= setTimeout(() => this.#tellStarts(), TELL_START_MS);
    return this.#executor.run(attempt, () => this.#held.freeSlot(attempt));
  }

  /** It holds its slot meanwhile, so that no more is read than can be parked. */
  async #park(attempt: Attempt): Promise<Reply | undefined> {
    // What has a slot gives it up first, and is parked before the gate.
    if (attempt.entry.stream.gate === "passed") return this.#giveBack(attempt.entry, "leave");
    const reply = await this.#parker.park(attempt.entry);
    // The tenant was resumed just now.
    return reply === Reply.Already ? this.#run(attempt) : reply;
  }

  /** Its lease was lost and came back with a new delivery count. */
  #drop(attempt: Attempt): void {
    attempt.abort(new Unwanted());
    this.#held.remove(attempt);
  }

  #track(attempt: Attempt, work: Promise<Reply | undefined>): void {
    const { run, id } = attempt.entry;
    const tracked = work
      .catch((error) => void log.error("the attempt on entry {id} of run {run} broke off: {error}", { run, id, error }))
      .then((reply) => {
        if (reply === undefined || reply === Reply.WrongType) this.#held.abandon(attempt);
        else this.#held.remove(attempt);
        this.#working.delete(tracked);
      });
    this.#working.add(tracked);
  }

  #tellStarts(): void {
    this.#telling = undefined;
    const untold = this.#untold;
    this.#untold = [];
    for (const attempt of untold) attempt.tellStart();
  }

  /** An entry for which there was no slot, which another worker may have; or one whose step was paused just now. */
  #giveBack(entry: Entry, kind: "release" | "leave" = "release"): Promise<Reply | undefined> {
    return this.#committer.submit({ entry, batch: 0, events: [], end: { kind } });
  }
}

/** A worker for the workflows that `millrace` was connected with. Nothing happens until it is started. */
export function createWorker(millrace: Millrace, options?: WorkerOptions): Worker {
  return new Worker(millrace, options);
}
