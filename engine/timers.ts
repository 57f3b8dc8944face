import { logger } from "./log.ts";
import { Loop, type Service } from "./service.ts";
import { Reply, type Store } from "./store.ts";

const log = logger("timers");

/** How long a timer that another process has set may go unseen. */
const LOOK_EVERY_MS = 500;
const ROWS_AT_ONCE = 100;

/** Carries out what is due: any worker does, and each row is carried out once. */
export class Timers implements Service {
  readonly #store: Store;
  readonly #loop: Loop;

  constructor(store: Store) {
    this.#store = store;
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

  async runOnce(): Promise<number | undefined> {
    const { due, nextMs } = await this.#store.dueTimers(ROWS_AT_ONCE);
    if (due.length === 0) return nextMs;
    const replies = await this.#store.promote(due);
    const wrong = replies.filter((reply) => reply === Reply.WrongType).length;
    if (wrong > 0) log.error("{wrong} timer rows met a key of another type, and are tried again", { wrong });
    return 0;
  }
}
