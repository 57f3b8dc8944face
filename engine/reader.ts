import type { Entry, StepStream } from "./entry.ts";
import { UnavailableError } from "./errors.ts";
import type { HeldAttempts } from "./held.ts";
import { logger } from "./log.ts";
import type { Client } from "./redis/client.ts";
import type { Store } from "./store.ts";
import { ensureGroups, take, takeOne } from "./streams.ts";

const log = logger("reader");

const BLOCK_MS = 2_000;
/** A blocking read that has not come back this long after it should have is on a dead connection. */
const GRACE_MS = 3_000;
const BACKOFF_FROM_MS = 50;
const BACKOFF_TO_MS = 2_000;

export interface ReaderOptions {
  store: Store;
  consumer: string;
  streams: readonly StepStream[];
  held: HeldAttempts;
  /** Opens a connection of the reader's own; it blocks. */
  connect(): Client;
  /** Ends the blocking read of the connection of this id. True if there was one. */
  unblock(connection: number): Promise<boolean>;
  /** Resolves once few enough results wait to be stored. */
  room(): Promise<void>;
  /** Begins the work on entries. */
  begin(entries: Entry[]): void;
  /** Entries that came without a free slot: they are given back. */
  surplus(entries: Entry[]): void;
  /** A connection was lost, and a new one is read from. */
  onReconnect(): void;
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
  #rotation = 0;
  /** The streams that the blocking read leaves out, because they had no free slot. */
  #leftOut: ReadonlySet<StepStream> = new Set();
  #blocking = false;
  #readAt = performance.now();

  constructor(options: ReaderOptions) {
    this.#options = options;
    options.held.onFreed((stream) => {
      if (this.#blocking && this.#leftOut.has(stream)) void this.#unblock();
    });
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Takes nothing new from here on. Idempotent. */
  async stop(): Promise<void> {
    this.#stopping = true;
    if (this.#blocking) void this.#unblock();
    await this.#running;
  }

  /** How long ago a read last came back, in ms: a few seconds at most if all is well. */
  get silentMs(): number {
    return performance.now() - this.#readAt;
  }

  async #run(): Promise<void> {
    let failures = 0;
    while (!this.#stopping) {
      try {
        const client = this.#client ?? (await this.#connect(failures > 0));
        await this.#readOnce(client);
        failures = 0;
      } catch (error) {
        this.#client?.close();
        this.#client = undefined;
        failures += 1;
        const ceiling = Math.min(BACKOFF_TO_MS, BACKOFF_FROM_MS * 2 ** Math.min(failures, 10));
        log.warn("reading failed, and is tried again: {error}", { error });
        if (!this.#stopping) await new Promise((resolve) => setTimeout(resolve, ceiling * (0.5 + Math.random() / 2)));
      }
    }
    this.#client?.close();
  }

  async #connect(again: boolean): Promise<Client> {
    const { streams, connect, onReconnect } = this.#options;
    const client = connect();
    this.#client = client;
    this.#connection = (await bounded(client.call("CLIENT", "ID"), GRACE_MS)) as number;
    await ensureGroups(client, streams);
    if (again) {
      onReconnect();
      await this.#recoverOwn();
    }
    return client;
  }

  /** Entries that were delivered to a connection that broke are pending for this worker, and nobody works on them. */
  async #recoverOwn(): Promise<void> {
    const { store, streams, consumer, held, begin } = this.#options;
    for (const stream of streams) {
      const free = held.freeOf(stream);
      if (free > 0) begin(await store.reclaim(stream, consumer, "own", 0, free, held.of(stream)));
    }
  }

  async #readOnce(client: Client): Promise<void> {
    const { held, consumer, streams, room } = this.#options;
    await room();
    const wanted = this.#shares();
    if (wanted.length === 0) {
      // A loop that only ever awaits what has come already would let nothing else run.
      await soon(held.freed(), BLOCK_MS);
      this.#readAt = performance.now();
      return;
    }
    if (this.#stopping) return;
    const taken = await bounded(take(client, consumer, wanted), GRACE_MS);
    this.#readAt = performance.now();
    this.#accept(taken);
    if (taken.length > 0 || this.#stopping) return;

    const open = streams.filter((stream) => held.freeOf(stream) > 0);
    if (open.length === 0) return;
    this.#leftOut = new Set(streams.filter((stream) => !open.includes(stream)));
    this.#blocking = true;
    try {
      this.#accept(await bounded(takeOne(client, consumer, open, BLOCK_MS), BLOCK_MS + GRACE_MS));
    } finally {
      this.#blocking = false;
    }
    this.#readAt = performance.now();
  }

  /** The free slots, shared out among the streams that have some; whose turn is first goes round. */
  #shares(): [StepStream, number][] {
    const { streams, held } = this.#options;
    let left = held.free();
    const shares: [StepStream, number][] = [];
    for (let i = 0; i < streams.length && left > 0; i += 1) {
      const stream = streams[(this.#rotation + i) % streams.length]!;
      const fair = Math.ceil(left / (streams.length - i));
      const share = Math.min(held.freeOf(stream), fair, left);
      if (share <= 0) continue;
      shares.push([stream, share]);
      left -= share;
    }
    this.#rotation += 1;
    return shares;
  }

  #accept(entries: Entry[]): void {
    if (entries.length === 0) return;
    const { held, begin, surplus } = this.#options;
    const fitting: Entry[] = [];
    const over: Entry[] = [];
    for (const entry of entries) {
      const room = !this.#stopping && fitting.length < held.free() && held.freeOf(entry.stream) > 0;
      (room ? fitting : over).push(entry);
    }
    begin(fitting);
    if (over.length > 0) surplus(over);
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

/** The promise's value, or an UnavailableError after `ms`. */
async function bounded<T>(promise: Promise<T>, ms: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new UnavailableError(`Redis did not answer a read within ${ms} ms.`)), ms);
  });
  try {
    return await Promise.race([promise, deadline]);
  } finally {
    clearTimeout(timer);
  }
}

async function soon(promise: Promise<void>, ms: number): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const later = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([promise, later]);
  clearTimeout(timer);
}
