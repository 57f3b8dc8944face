import { Asks } from "./asks.ts";
import type { Bell } from "./bell.ts";
import type { Entry, StepStream } from "./entry.ts";
import type { HeldAttempts } from "./held.ts";
import { logger } from "./log.ts";
import { type ReadHealth, ReadWatch } from "./read-health.ts";
import type { Client } from "./redis/client.ts";
import { bounded } from "./redis/deadline.ts";
import { pauseMs } from "./retry.ts";
import { RungStreams } from "./rung.ts";
import type { Sources } from "./sources.ts";
import { ensureGroups } from "./store/group-store.ts";
import { type Looks, lookAt } from "./store/look-store.ts";
import type { Store } from "./store.ts";
import { take, takeOne } from "./streams.ts";

const log = logger("reader");

const BLOCK_MS = 2_000;
/** To block on more streams than this costs Redis more than to be told which of them has something. */
const BLOCKED_ON = 30;
/** A blocking read that has not come back this long after it should have is on a dead connection. */
const GRACE_MS = 3_000;
const RECOVERED_AT_ONCE = 100;
/** Once nothing was at hand, so many reads block for one entry before all streams are asked for more again. */
const TRICKLE = 8;
const BACKOFF_FROM_MS = 50;
const BACKOFF_TO_MS = 2_000;

export interface ReaderOptions {
  store: Store;
  consumer: string;
  sources: Sources;
  held: HeldAttempts;
  /** Opens a connection of the reader's own; it blocks. */
  connect(): Promise<Client>;
  /** Ends the blocking read of the connection of this id. True if there was one. */
  unblock(connection: number): Promise<boolean>;
  /** Begins to hear for which streams it rings. */
  bell(onRing: () => void): Bell;
  /** Resolves when some of too many results that wait to be stored are; undefined if they are not too many. */
  backlog(): Promise<void> | undefined;
  /** Begins the work on entries, or gives back those for which there is no slot any more. */
  begin(entries: Entry[]): void;
  /** A connection was lost, and a new one is read from; `isLoss` if streams or groups were gone by then. */
  onReconnect(isLoss: boolean): void;
}

interface Answer {
  stream: StepStream;
  asked: number;
  given: number;
}

/**
 * Reads entries for as long as there are free slots, never more than fit them: with work at hand of each stream its
 * share, else it blocks for one. Nothing ends it but `stop`: whatever fails, it throws the connection away, backs off
 * and goes on with a new one.
 */
export class Reader {
  readonly #options: ReaderOptions;
  #client: Client | undefined;
  #connection = 0;
  #running: Promise<void> | undefined;
  #stopping = false;
  #asks = new Asks([]);
  /** What `#asks` is for. */
  #open: readonly StepStream[] = [];
  /** With many streams, what tells which of them has something. */
  #rung: RungStreams | undefined;
  #awaitsBell = false;
  /** With few streams, those that had nothing since something came last. */
  readonly #dry = new Set<StepStream>();
  /** How many more reads block before the streams are asked for all that is at hand. */
  #trickle = 0;
  /** The streams that the blocking read leaves out, because they had no free slot. */
  #leftOut: readonly StepStream[] = [];
  #blocking = false;
  #wake: (() => void) | undefined;
  readonly #watch = new ReadWatch();

  constructor(options: ReaderOptions) {
    this.#options = options;
    options.held.onFreed(() => {
      this.#ring();
      if (this.#blocking && this.#leftOut.some((stream) => options.held.freeOf(stream) > 0)) void this.#unblock();
    });
    options.sources.onChange(() => {
      if (this.#blocking) void this.#unblock();
      this.#wake?.();
    });
  }

  start(): void {
    if (this.#running !== undefined) return;
    this.#watch.finished();
    this.#running = this.#run();
  }

  /** Takes nothing new from here on. Idempotent. */
  async stop(): Promise<void> {
    this.#stopping = true;
    if (this.#blocking) void this.#unblock();
    this.#wake?.();
    await this.#running;
  }

  /** Waits for `ms`, for the promise or for `stop`, whichever is first. */
  async #pause(ms: number, promise?: Promise<void>): Promise<void> {
    if (this.#stopping) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
      void promise?.then(this.#wake);
    });
    this.#wake = undefined;
  }

  get health(): ReadHealth {
    return this.#watch.health;
  }

  async #run(): Promise<void> {
    let failures = 0;
    while (!this.#stopping) {
      try {
        const client = this.#client ?? (await this.#connect(failures > 0));
        await this.#readOnce(client);
        this.#watch.finished();
        failures = 0;
      } catch (error) {
        this.#watch.failed(error);
        this.#client?.close();
        this.#client = undefined;
        failures += 1;
        log.warn("reading failed, and is tried again: {error}", { error });
        await this.#pause(pauseMs(failures, BACKOFF_FROM_MS, BACKOFF_TO_MS));
      }
    }
    this.#client?.close();
    this.#rung?.close();
  }

  async #connect(again: boolean): Promise<Client> {
    const { sources, connect, onReconnect } = this.#options;
    const client = await connect();
    this.#client = client;
    this.#open = [];
    this.#connection = (await bounded(client.call("CLIENT", "ID"), GRACE_MS)) as number;
    const made = await bounded(ensureGroups(client, sources.all), GRACE_MS);
    if (again) {
      onReconnect(made > 0);
      await this.#recoverOwn(client);
    }
    return client;
  }

  /** Entries that were delivered to a connection that broke are pending for this worker, and nobody works on them. */
  async #recoverOwn(client: Client): Promise<void> {
    const { store, sources, consumer, held, begin } = this.#options;
    for (const stream of (await this.#look(client, sources.all)).own) {
      for (let found = RECOVERED_AT_ONCE; found === RECOVERED_AT_ONCE && !this.#stopping; ) {
        const own = await store.reclaim(stream, consumer, "own", 0, RECOVERED_AT_ONCE, held.begun(stream));
        begin(own);
        found = own.length;
      }
    }
  }

  #look(client: Client, streams: readonly StepStream[]): Promise<Looks> {
    return lookAt(client, this.#options.consumer, streams);
  }

  async #readOnce(client: Client): Promise<void> {
    const { sources, bell } = this.#options;
    const isNew = this.#open !== sources.open;
    if (isNew) {
      this.#open = sources.open;
      this.#asks = new Asks(this.#open);
      this.#dry.clear();
      this.#trickle = 0;
    }
    if (this.#open.length <= BLOCKED_ON) return this.#readFew(client);
    this.#rung ??= new RungStreams(bell(() => this.#ring()));
    if (isNew) this.#rung.reset(this.#open);
    return this.#readMany(client, this.#rung);
  }

  /** Asks the streams for which it rang, or waits until it does, or a slot is freed. */
  async #readMany(client: Client, rung: RungStreams): Promise<void> {
    const waiting = await rung.waiting(async (streams) => (await this.#look(client, streams)).undelivered);
    const open = this.#free(waiting);
    if (open.length === 0) {
      if (rung.hasNews) return;
      this.#awaitsBell = true;
      await this.#pause(rung.dueInMs);
      this.#awaitsBell = false;
      return;
    }
    const full = this.#options.backlog();
    if (full !== undefined) return this.#pause(BLOCK_MS, full);
    for (const { stream, asked, given } of (await this.#ask(client, open)) ?? [])
      if (given < asked) rung.emptied(stream);
  }

  /** Asks all streams for what is at hand, and once nothing is, blocks for what comes next. */
  async #readFew(client: Client): Promise<void> {
    const { held, consumer, backlog, begin } = this.#options;
    let open = this.#free(this.#open);
    // When all is paused, nothing that is freed helps.
    const full = open.length > 0 ? backlog() : this.#open.length > 0 ? held.answered() : undefined;
    if (open.length === 0 || full !== undefined) {
      // A loop that only ever awaits what has come already would let nothing else run.
      await this.#pause(BLOCK_MS, full);
      return;
    }
    if (this.#trickle === 0) {
      const fresh = open.filter((stream) => !this.#dry.has(stream));
      if (fresh.length > 0) {
        const answers = await this.#ask(client, fresh);
        if (answers === undefined || this.#stopping) return;
        if (answers.some(({ given }) => given > 0)) return this.#dry.clear();
        // With fewer slots than streams only some of them were asked.
        for (const { stream } of answers) this.#dry.add(stream);
        // Of others slots may have been freed meanwhile, or all have been taken.
        open = this.#free(this.#open);
        if (open.length === 0 || open.some((stream) => !this.#dry.has(stream))) return;
      }
      this.#dry.clear();
      this.#trickle = TRICKLE;
    }
    this.#trickle -= 1;

    this.#leftOut = this.#open.filter((stream) => !open.includes(stream));
    this.#blocking = true;
    try {
      const taken = await bounded(takeOne(client, consumer, open, BLOCK_MS), BLOCK_MS + GRACE_MS);
      // More streams than one have something: it is to be shared out.
      if (taken.length > 1) this.#trickle = 0;
      begin(taken);
    } finally {
      this.#blocking = false;
    }
  }

  /**
   * Asks streams for what is at hand, as much as fits the free slots, and begins it.
   *
   * @returns what those that were asked gave; undefined if all that is free is being asked for in other partitions
   */
  async #ask(client: Client, streams: readonly StepStream[]): Promise<Answer[] | undefined> {
    const { held, consumer, begin } = this.#options;
    const wanted = this.#asks.of(held.unasked, streams);
    if (wanted.length === 0) {
      await this.#pause(BLOCK_MS, held.answered());
      return undefined;
    }
    const answered = held.ask(wanted);
    let taken: Entry[];
    try {
      taken = await bounded(take(client, consumer, wanted), GRACE_MS);
    } finally {
      answered();
    }
    this.#watch.finished();
    const counts = new Map<StepStream, number>();
    for (const { stream } of taken) counts.set(stream, (counts.get(stream) ?? 0) + 1);
    const answers = wanted.map(([stream, asked]) => ({ stream, asked, given: counts.get(stream) ?? 0 }));
    for (const { stream, asked, given } of answers) this.#asks.gave(stream, asked, given);
    begin(taken);
    return answers;
  }

  #ring(): void {
    if (this.#awaitsBell) this.#wake?.();
  }

  /** Those of some streams with a free slot. */
  #free(streams: readonly StepStream[]): StepStream[] {
    return streams.filter((stream) => this.#options.held.freeOf(stream) > 0);
  }

  /** Ends the blocking read. It may not have reached Redis yet, so this is tried until it has ended. */
  async #unblock(): Promise<void> {
    const connection = this.#connection;
    for (let tries = 0; tries < 20 && this.#blocking && connection === this.#connection; tries += 1) {
      try {
        if (await this.#options.unblock(connection)) return;
      } catch (error) {
        log.debug("unblock: {error}", { error });
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}
