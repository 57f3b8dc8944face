import { type Millrace, UnavailableError } from "../../../engine/index.ts";
import { type Baggage, journey } from "../programs/journey.ts";
import type { Journal } from "./journal.ts";
import type { Random } from "./random.ts";

export interface LoadOptions {
  millrace: Millrace;
  journal: Journal;
  random: Random;
  /** How many callers ask at once. Default 8. */
  callers?: number;
  /** How long each step takes, in ms. Default 0. */
  ms?: number;
  tenants?: readonly string[];
}

/** Of a hundred requests so many are given up when they first fail, and so many are sent twice at the same time. */
const GIVEN_UP = 10;
const DOUBLED = 10;
/** Every so many runs, one is watched from its beginning to its end. */
const WATCHED_OF = 5;

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
  #over = false;

  constructor(options: LoadOptions) {
    this.#options = { callers: 8, ms: 0, tenants: ["default"], ...options };
  }

  /** How many runs it was told are stored. */
  get acknowledged(): number {
    return this.#acknowledged.size;
  }

  /** How many of the runs that are watched have ended. */
  get seenToEnd(): number {
    return this.#seenToEnd;
  }

  /** Asks for so many runs. Resolves when all were answered or given up, and those that are watched have ended. */
  async run(count: number, baggage: (n: number) => Partial<Baggage> = () => ({})): Promise<void> {
    const last = this.#asked + count;
    const caller = async () => {
      while (this.#asked < last) {
        const n = this.#asked++;
        await this.#start(n, baggage(n));
      }
    };
    await Promise.all(Array.from({ length: this.#options.callers }, caller));
    await Promise.all(this.#watching);
    this.#over = true;
    this.#changed();
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

  async #start(n: number, more: Partial<Baggage>): Promise<void> {
    const { journal, random, ms, tenants } = this.#options;
    const key = `k${n}`;
    const tenant = random.pick(tenants);
    const patient = random.whole(1, 100) > GIVEN_UP;
    const doubled = random.whole(1, 100) <= DOUBLED;
    journal.add({ what: "asked", key, tenant });
    const input: Baggage = { key, by: "", ms, ...more };
    const asks = Array.from({ length: doubled ? 2 : 1 }, () => this.#ask(key, tenant, input, patient));
    const [run] = (await Promise.all(asks)).filter((id) => id !== undefined);
    if (run === undefined || n % WATCHED_OF !== 0) return;
    const watching = this.#watch(run, tenant).finally(() => this.#watching.delete(watching));
    this.#watching.add(watching);
  }

  /** The run's id; undefined if it was given up. */
  async #ask(key: string, tenant: string, input: Baggage, patient: boolean): Promise<string | undefined> {
    const { millrace, journal } = this.#options;
    const idempotency = { scope: "load", key, digest: key };
    for (;;) {
      try {
        const { id, workflow } = await millrace.runs.start(journey, input, { tenant, idempotency });
        journal.add({ what: "acknowledged", key, tenant, run: id, workflow });
        this.#acknowledged.add(key);
        this.#changed();
        return id;
      } catch (error) {
        if (!(error instanceof UnavailableError)) throw error;
        journal.add({ what: "unconfirmed", key, code: error.code });
        if (!patient) return undefined;
        // What fails at once would otherwise be asked for again in the same turn, for ever.
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }

  /** From its first event to its last, over as many connections as that takes; a log that was lost is seen anew. */
  async #watch(run: string, tenant: string): Promise<void> {
    const { millrace, journal } = this.#options;
    let resets = 0;
    for (let after = "0"; ; ) {
      try {
        for await (const event of millrace.watch(run, { tenant, after })) {
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
