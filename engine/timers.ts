import { logger } from "./log.ts";
import { Loop, type Service } from "./service.ts";
import type { TimerStore } from "./store/timer-store.ts";
import { Reply } from "./store.ts";
import { type ContinuedRow, isScripted } from "./timer-rows.ts";

const log = logger("timers");

/** How long a timer that another process has set may go unseen. */
const LOOK_EVERY_MS = 500;
const ROWS_AT_ONCE = 100;
/** How long a continuation is this process's before another may take it up. */
const CLAIM_MS = 30_000;
/** So many continuations go on at once. */
const CONTINUED_AT_ONCE = 10;
/** How long a worker that starts catches up before it takes up work. */
const CATCH_UP_MS = 2_000;
/** A continuation that failed is tried again after this. */
const AGAIN_MS = 1_000;

/**
 * Does a bounded part of work that is larger than a script: at most 100 things, each safe to repeat, since a process that
 * dies leaves the row for another.
 *
 * @returns in how many ms the row goes on; undefined if its work is done
 */
export type Continuation<Row extends ContinuedRow = ContinuedRow> = (row: Row) => Promise<number | undefined>;
export type Continuations = { [K in ContinuedRow["kind"]]: Continuation<Extract<ContinuedRow, { kind: K }>> };

/** Carries out what is due: any worker does, and each row is carried out once. */
export class Timers implements Service {
  readonly #store: TimerStore;
  readonly #continuations: Continuations;
  readonly #loop: Loop;

  constructor(store: TimerStore, continuations: Continuations) {
    this.#store = store;
    this.#continuations = continuations;
    this.#loop = new Loop("timers", LOOK_EVERY_MS, () => this.runOnce());
  }

  start(): void {
    this.#loop.start();
  }

  stop(): Promise<void> {
    return this.#loop.stop();
  }

  /** Looks in `inMs`: this process has set a timer. */
  wake(inMs: number): void {
    this.#loop.wake(inMs);
  }

  /** Carries out what came due while no worker ran: runs that are past their time must not start now. */
  async catchUp(): Promise<void> {
    const until = performance.now() + CATCH_UP_MS;
    try {
      while (performance.now() < until && (await this.runOnce()) === 0);
    } catch (error) {
      log.warn("what is due is left for later: {error}", { error });
    }
  }

  /** Looks now; resolves when what was due, up to 100 rows, is carried out. */
  runNow(): Promise<void> {
    return this.#loop.runNow();
  }

  async runOnce(): Promise<number | undefined> {
    const { due, nextMs } = await this.#store.dueTimers(ROWS_AT_ONCE);
    if (due.length === 0) return nextMs;
    const scripted = due.filter(isScripted);
    if (scripted.length > 0) {
      const replies = await this.#store.promote(scripted);
      const wrong = replies.filter((reply) => reply === Reply.WrongType).length;
      if (wrong > 0) log.error("{wrong} timer rows met a key of another type, and are tried again", { wrong });
    }
    await this.#continue(due.filter((row): row is ContinuedRow => !isScripted(row)));
    return 0;
  }

  async #continue(rows: ContinuedRow[]): Promise<void> {
    if (rows.length === 0) return;
    const taken = await this.#store.claimTimers(rows, CLAIM_MS);
    const goOn = async (row: ContinuedRow, until: number) => {
      if (until > 0) await this.#goOn(row, until);
    };
    for (let i = 0; i < rows.length; i += CONTINUED_AT_ONCE)
      await Promise.all(rows.slice(i, i + CONTINUED_AT_ONCE).map((row, k) => goOn(row, taken[i + k]!)));
  }

  async #goOn(row: ContinuedRow, until: number): Promise<void> {
    const { kind } = row;
    let inMs: number | undefined = AGAIN_MS;
    try {
      inMs = await (this.#continuations[row.kind] as Continuation)(row);
    } catch (error) {
      log.warn("{kind} failed, and is tried again: {error}", { kind, error });
    }
    await this.#store.settleTimer(row, until, inMs);
  }
}
