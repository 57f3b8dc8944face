import { Attempt } from "./attempt.ts";
import type { AttemptSetting } from "./attempt-setting.ts";
import { Batches } from "./batches.ts";
import type { CommitItem } from "./commit-args.ts";
import { internalsOf } from "./connect.ts";
import type { Entry, StepStream } from "./entry.ts";
import { MillraceError } from "./errors.ts";
import { Executor } from "./executor.ts";
import { workflowVersion } from "./graph.ts";
import { HeldAttempts } from "./held.ts";
import { newId } from "./ids.ts";
import { Inputs } from "./inputs.ts";
import { Interrupted, Unwanted } from "./interrupted.ts";
import { logger } from "./log.ts";
import { abortLost } from "./lost.ts";
import type { Millrace } from "./millrace.ts";
import { PartitionWorker } from "./partition-worker.ts";
import { healthOf, type WorkerHealth } from "./read-health.ts";
import { within } from "./service.ts";
import { streamsOf } from "./step-places.ts";
import { GateStore } from "./store/gate-store.ts";
import { ensureGroups } from "./store/group-store.ts";
import { MemoStore } from "./store/memo-store.ts";
import { Reply } from "./store.ts";
import { StrandedWatch } from "./stranded-watch.ts";
import { liveWorkers } from "./versions.ts";
import type { WorkerOptions } from "./worker-options.ts";

export type { WorkerOptions };

const log = logger("worker");

/** A start of an attempt is told once it is between one and two of these old: a shorter attempt tells it together with its end. */
const TELL_START_MS = 3;
/** How long what is left is given to be stored once the handlers are done. */
const LAST_COMMITS_MS = 5_000;

/** A process that runs steps. Made by `createWorker`. */
export class Worker {
  /** Unique for every start of a process: its name in the consumer groups. */
  readonly id: string = newId();
  readonly #options: Required<Omit<WorkerOptions, "steps" | "observer">>;
  readonly #streams: StepStream[];
  readonly #held: HeldAttempts;
  readonly #partitions: readonly PartitionWorker[];
  readonly #executor: Executor;
  readonly #batches: Batches;
  readonly #gates: GateStore;
  readonly #strandedWatch: StrandedWatch;
  readonly #internals: ReturnType<typeof internalsOf>;
  readonly #setting: AttemptSetting;
  readonly #working = new Set<Promise<void>>();
  /** Those that are at work since starts were told last, and since the time before that. */
  #begun: Attempt[] = [];
  #begunBefore: Attempt[] = [];
  #telling: ReturnType<typeof setTimeout> | undefined;
  #started: Promise<void> | undefined;
  #stopping = false;
  #stopped: Promise<void> | undefined;

  constructor(millrace: Millrace, options: WorkerOptions = {}) {
    const { concurrency = 32, steps = () => true, env = {}, leaseMs = 10_000, drainMs = 10_000 } = options;
    const { reconcile = true, observer } = options;
    if (!(Number.isInteger(concurrency) && concurrency >= 1 && concurrency <= 10_000))
      throw new MillraceError("bad_option", "concurrency must be a whole number from 1 to 10000");
    if (!(leaseMs >= 100)) throw new MillraceError("bad_option", "leaseMs must be 100 or more");
    if (!(drainMs >= 0)) throw new MillraceError("bad_option", "drainMs must be 0 or more");
    this.#options = { concurrency, env, leaseMs, drainMs, reconcile };
    this.#internals = internalsOf(millrace);
    const { client, store, lanes, records, blobs, values, config, cache } = this.#internals;
    this.#streams = this.#internals.definitions.flatMap((workflow) =>
      workflow.steps
        .filter((step) => steps(workflow.name, step.name))
        .flatMap((step) => store.allPartitions.flatMap((keys) => streamsOf(keys, workflow.graph, step, "normal"))),
    );
    if (this.#streams.length === 0) throw new MillraceError("bad_option", "There is no step for this worker to serve.");

    const consumer = this.id;
    this.#held = new HeldAttempts(concurrency);
    this.#gates = new GateStore(client, store);
    this.#partitions = store.allPartitions.map(
      (keys) =>
        new PartitionWorker({
          ...{ millrace, keys, consumer, leaseMs, reconcile, observer, held: this.#held, gates: this.#gates },
          streams: this.#streams.filter((stream) => stream.keys === keys),
          begin: (entries) => this.#begin(entries),
        }),
    );
    this.#batches = new Batches(concurrency);
    const batches = this.#batches;
    const parts = { store, lanes, values, inputs: new Inputs(store, values), consumer, handlers: new Map(), batches };
    const committer = { submit: (item: CommitItem) => this.#of(item.entry).committer.submit(item) };
    const wake = (entry: Entry, inMs: number) => this.#of(entry).timers.wake(inMs);
    this.#executor = new Executor(parts, committer, wake, observer);
    const lost = (attempt: Attempt) => abortLost(attempt, store);
    this.#setting = {
      ...{ committer, blobs, env, config, cache, lost, atWork: (attempt) => this.#atWork(attempt) },
      memory: { store: new MemoStore(client, (run) => store.partitionKeys(run), consumer), values, lost },
      beat: async () => void (await Promise.all(this.#partitions.map(({ heartbeat }) => heartbeat.beat()))),
    };
    this.#strandedWatch = new StrandedWatch({
      consumer,
      workers: async () => (await liveWorkers(store, records)).map((worker) => worker.consumer),
      queues: () => millrace.queues(),
    });
  }

  get serves(): string[] {
    return [...new Set(this.#streams.map(({ graph, step }) => `${workflowVersion(graph)}:${step.name}`))];
  }

  /** How long ago a read of its streams last came back, in ms. */
  get silentMs(): number {
    return this.health().silentMs;
  }

  /** Whether it takes work: of the partition that does worst, and what reading has failed with in all of them. */
  health(): WorkerHealth {
    return healthOf(this.#partitions.map(({ health }) => health));
  }

  /** How many results came too late, and were refused: another worker had the step by then, or the run had ended. */
  get lateResults(): number {
    return this.#executor.refused;
  }

  /** Carries out up to 100 timer rows of each partition that are due, which it otherwise does when it looks for them next. */
  async runTimers(): Promise<void> {
    await Promise.all(this.#partitions.map(({ timers }) => timers.runNow()));
  }

  /**
   * Looks for runs that nothing moves any more and puts them back, which it otherwise does every minute, and soon after it
   * has found something to be lost. Resolves when all are gone through.
   */
  async reconcile(): Promise<void> {
    await Promise.all(this.#partitions.map(({ reconciler }) => reconciler.runNow()));
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
    const { client, config } = this.#internals;
    await ensureGroups(client, this.#streams);
    await this.#gates.open(this.#streams);
    await Promise.all([...this.#partitions.map((partition) => partition.prepare()), config.ready()]);
    if (this.#stopping) return;
    for (const partition of this.#partitions) partition.start();
    this.#strandedWatch.start();
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
    await Promise.all([...this.#partitions.map((each) => each.stopReading()), this.#strandedWatch.stop()]);
    await within(Promise.all(this.#working), this.#options.drainMs);
    for (const attempt of this.#held.all()) attempt.abort(new Interrupted());
    await within(Promise.all(this.#working), LAST_COMMITS_MS);
    clearTimeout(this.#telling);
    await Promise.all(this.#partitions.map((each) => each.stop()));
  }

  #of({ stream }: Entry): PartitionWorker {
    return this.#partitions[stream.keys.index]!;
  }

  #begin(entries: Entry[]): void {
    for (const entry of entries) {
      const known = this.#held.find(entry);
      if (known !== undefined && known.entry.count >= entry.count) continue;
      if (known !== undefined) this.#drop(known);
      const attempt = new Attempt(entry, this.#setting);
      this.#held.add(attempt);
      const { sources } = this.#of(entry);
      if (this.#stopping || sources.isPaused(entry.stream) || !this.#held.takeSlot(attempt)) {
        this.#track(attempt, this.#giveBack(entry));
        continue;
      }
      this.#track(attempt, sources.isTenantPaused(entry.tenant) ? this.#park(attempt) : this.#run(attempt));
    }
  }

  #run(attempt: Attempt): Promise<Reply | undefined> {
    attempt.begin();
    return this.#executor.run(attempt, () => this.#held.freeSlot(attempt));
  }

  /** It holds its slot meanwhile, so that no more is read than can be parked. */
  async #park(attempt: Attempt): Promise<Reply | undefined> {
    // What has a slot gives it up first, and is parked before the gate.
    if (attempt.entry.stream.gate === "passed") return this.#giveBack(attempt.entry, "leave");
    const reply = await this.#of(attempt.entry).parker.park(attempt.entry);
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
    const ended = (reply: Reply | undefined) => {
      if (reply === undefined || reply === Reply.WrongType) this.#held.abandon(attempt);
      else this.#held.remove(attempt);
      this.#working.delete(tracked);
    };
    const tracked = work.then(ended, (error) => {
      log.error("the attempt on entry {id} of run {run} broke off: {error}", { run, id, error });
      ended(undefined);
    });
    this.#working.add(tracked);
  }

  #atWork(attempt: Attempt): void {
    this.#begun.push(attempt);
    this.#telling ??= setTimeout(() => this.#tellStarts(), TELL_START_MS);
  }

  #tellStarts(): void {
    const untold = this.#begunBefore;
    this.#begunBefore = this.#begun;
    this.#begun = [];
    this.#telling = this.#begunBefore.length === 0 ? undefined : setTimeout(() => this.#tellStarts(), TELL_START_MS);
    for (const attempt of untold) attempt.tellStart();
  }

  /** An entry for which there was no slot, which another worker may have; or one whose step was paused just now. */
  #giveBack(entry: Entry, kind: "release" | "leave" = "release"): Promise<Reply | undefined> {
    return this.#of(entry).committer.submit({ entry, batch: 0, events: [], end: { kind } });
  }
}

/** A worker for the workflows that `millrace` was connected with. Nothing happens until it is started. */
export function createWorker(millrace: Millrace, options?: WorkerOptions): Worker {
  return new Worker(millrace, options);
}
