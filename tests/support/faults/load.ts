import { type Millrace, UnavailableError } from "../../../engine/index.ts";
import { type Baggage, journey } from "../programs/journey.ts";
import type { Journal } from "./journal.ts";
import type { Random } from "./random.ts";
import { TIMEOUT_MS } from "./settings.ts";

export interface LoadOptions {
  millrace: Millrace;
  journal: Journal;
  random: Random;
  /** How many callers ask at once. Default 8. */
  callers?: number;
  /** How long each step takes, in ms. Default 0. */
  ms?: number;
  tenants?: readonly string[];
  /** When it gives up, in ms: before the test's own time is over, so that it can say what it waited for. */
  timeoutMs?: number;
  /** Every so many runs, one is watched from its beginning to its end. Default 5; 0: none. */
  watchedOf?: number;
}

/**
 * Of a hundred requests so many are given up when they first fail, so many have no key, by which each time that one is asked for
 * is a request of its own, and so many of the others are sent twice at the same time.
 */
const GIVEN_UP = 10;
const DOUBLED = 10;
const KEYLESS = 20;

interface Started {
  run: string;
  tenant: string;
}

interface How {
  /** Whether it is asked for again until it is answered. */
  patient: boolean;
  keyless: boolean;
}

/**
 * Callers who start runs, each under a key of its own, and try again under that key until they are answered: as a client must
 * do that gets no answer. What they ask and what they are told is in the journal.
 */
export class Load {
  readonly #options: Required<LoadOptions>;
  readonly #watching = new Set<Promise<void>>();
  readonly #waiting = new Set<() => void>();
  readonly #acknowledged = new Set<string>();
  #asked = 0;
  #seenToEnd = 0;
  #slowestMs = 0;
  #over = false;
  readonly #closing = new AbortController();
  readonly #signal: AbortSignal;

  constructor(options: LoadOptions) {
    this.#options = {
      ...{ callers: 8, ms: 0, tenants: ["default"], watchedOf: 5, timeoutMs: 0.9 * TIMEOUT_MS },
      ...options,
    };
    this.#signal = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(this.#options.timeoutMs)]);
  }

  /** How many runs it was told are stored. */
  get acknowledged(): number {
    return this.#acknowledged.size;
  }

  /** How many of the runs that are watched have ended. */
  get seenToEnd(): number {
    return this.#seenToEnd;
  }

  /** How long the slowest call took to be answered or refused. */
  get slowestMs(): number {
    return this.#slowestMs;
  }

  /** Asks for so many runs. Resolves when all were answered or given up, and those that are watched have ended. */
  run(count: number, baggage?: (n: number) => Partial<Baggage>): Promise<void> {
    const last = this.#asked + count;
    return this.#call(() => this.#asked < last, baggage);
  }

  /**
   * Asks for runs until `work` is done, and as `run` then; each caller asks for its next run when it has seen its last one end,
   * so that no backlog grows, however long that takes.
   *
   * @throws what `work` throws
   */
  async during(work: Promise<unknown>, baggage?: (n: number) => Partial<Baggage>): Promise<void> {
    let going = true;
    const done = work.finally(() => {
      going = false;
    });
    await Promise.all([done, this.#call(() => going, baggage, true)]);
  }

  async #call(more: () => boolean, baggage = (_: number): Partial<Baggage> => ({}), follow = false): Promise<void> {
    const { watchedOf, callers } = this.#options;
    const caller = async () => {
      while (more() && !this.#signal.aborted) {
        const n = this.#asked++;
        const started = await this.#start(n, baggage(n));
        if (started === undefined || !(follow || n % watchedOf === 0)) continue;
        const watching = this.#watch(started).finally(() => this.#watching.delete(watching));
        this.#watching.add(watching);
        if (follow) await watching;
      }
    };
    await Promise.all(Array.from({ length: callers }, caller));
    await Promise.all(this.#watching);
    this.#over = true;
    this.#changed();
    if (this.#signal.aborted)
      throw new Error(`The load did not end: ${this.acknowledged} acknowledged, ${this.#seenToEnd} seen to their end`);
  }

  /** Nothing more is asked for. */
  close(): void {
    this.#closing.abort();
  }

  /** Resolves once so many more runs are stored, or all were asked for. */
  progress(more: number): Promise<void> {
    const wanted = this.acknowledged + more;
    return this.#until(() => this.acknowledged >= wanted);
  }

  /** Resolves once so many more of the watched runs have ended, or all have. */
  ends(more: number): Promise<void> {
    const wanted = this.#seenToEnd + more;
    return this.#until(() => this.#seenToEnd >= wanted);
  }

  /** Undefined if it was given up. */
  async #start(n: number, more: Partial<Baggage>): Promise<Started | undefined> {
    const { random, ms, tenants } = this.#options;
    const key = `k${n}`;
    const tenant = random.pick(tenants);
    const patient = random.whole(1, 100) > GIVEN_UP;
    const keyless = random.whole(1, 100) <= KEYLESS;
    const doubled = random.whole(1, 100) <= DOUBLED && !keyless;
    const input = { by: "", ms, ...more };
    const ask = () => this.#ask(key, tenant, input, { patient, keyless });
    const [run] = (await Promise.all(Array.from({ length: doubled ? 2 : 1 }, ask))).filter((id) => id !== undefined);
    return run === undefined ? undefined : { run, tenant };
  }

  /** The run's id; undefined if it was given up. */
  async #ask(name: string, tenant: string, input: Omit<Baggage, "key">, how: How): Promise<string | undefined> {
    const { millrace, journal } = this.#options;
    for (let tries = 0; ; tries += 1) {
      const key = how.keyless ? `${name}.${tries}` : name;
      const idempotency = how.keyless ? {} : { idempotency: { scope: "load", key, digest: key } };
      if (how.keyless || tries === 0) journal.add({ what: "asked", key, tenant });
      const from = performance.now();
      try {
        const { id, workflow } = await millrace.runs.start(journey, { ...input, key }, { tenant, ...idempotency });
        journal.add({ what: "acknowledged", key, tenant, run: id, workflow });
        this.#acknowledged.add(key);
        this.#changed();
        return id;
      } catch (error) {
        if (!(error instanceof UnavailableError)) throw error;
        journal.add({ what: "unconfirmed", key, code: error.code });
        if (!how.patient || this.#signal.aborted) return undefined;
        await pause();
      } finally {
        this.#slowestMs = Math.max(this.#slowestMs, performance.now() - from);
      }
    }
  }

  /** From its first event to its last, over as many connections as that takes; a log that was lost is seen anew. */
  async #watch({ run, tenant }: Started): Promise<void> {
    const { millrace, journal } = this.#options;
    let resets = 0;
    for (let after = "0"; !this.#signal.aborted; ) {
      try {
        for await (const event of millrace.watch(run, { tenant, after, signal: this.#signal })) {
          if (event.type === "reset") {
            resets += 1;
            after = "0";
            break;
          }
          after = event.cursor;
          journal.add({ what: "saw", watcher: `watcher ${resets}`, run, seq: event.seq, type: event.type });
          if (!/^run\.(completed|failed|cancelled)$/.test(event.type)) continue;
          this.#seenToEnd += 1;
          this.#changed();
          return;
        }
      } catch (error) {
        if (!(error instanceof UnavailableError)) throw error;
        await pause();
      }
    }
  }

  #until(met: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (!this.#over && !met()) return;
        this.#waiting.delete(look);
        resolve();
      };
      this.#waiting.add(look);
      look();
    });
  }

  #changed(): void {
    for (const look of this.#waiting) look();
  }
}

/** What fails at once would otherwise be asked for again in the same turn, for ever. */
function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 20));
}
