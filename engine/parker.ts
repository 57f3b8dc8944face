import type { Entry } from "./entry.ts";
import { UnavailableError } from "./errors.ts";
import { logger } from "./log.ts";
import { pauseMs } from "./retry.ts";
import type { PauseStore } from "./store/pause-store.ts";
import type { Reply } from "./store.ts";

const log = logger("parker");

/** A script parks no more than this. */
const PARKED_AT_ONCE = 100;
const RETRY_FROM_MS = 50;
const RETRY_TO_MS = 1_000;

interface Waiting {
  entry: Entry;
  resolve(reply: Reply | undefined): void;
}

/** Parks the entries of paused tenants, those of one tick together. What Redis did not answer is sent again until it does. */
export class Parker {
  readonly #store: PauseStore;
  readonly #consumer: string;
  #queue: Waiting[] = [];
  #closed = false;

  constructor(store: PauseStore, consumer: string) {
    this.#store = store;
    this.#consumer = consumer;
  }

  /** What has not been parked after the try that is under way is given up. */
  close(): void {
    this.#closed = true;
  }

  /** The script's reply; undefined if it could not be had. */
  park(entry: Entry): Promise<Reply | undefined> {
    return new Promise((resolve) => {
      if (this.#queue.push({ entry, resolve }) === 1) queueMicrotask(() => this.#flush());
    });
  }

  #flush(): void {
    const queue = this.#queue;
    this.#queue = [];
    for (let at = 0; at < queue.length; at += PARKED_AT_ONCE) void this.#send(queue.slice(at, at + PARKED_AT_ONCE));
  }

  async #send(group: Waiting[]): Promise<void> {
    const replies = await this.#park(group.map(({ entry }) => entry));
    for (const [i, { resolve }] of group.entries()) resolve(replies?.[i]);
  }

  async #park(entries: Entry[]): Promise<Reply[] | undefined> {
    for (let tries = 0; ; tries += 1) {
      try {
        return await this.#store.park(this.#consumer, entries);
      } catch (error) {
        log.warn("{size} entries were not parked: {error}", { size: entries.length, error });
        if (!(error instanceof UnavailableError) || this.#closed) return undefined;
        await new Promise((resolve) => setTimeout(resolve, pauseMs(tries, RETRY_FROM_MS, RETRY_TO_MS)));
      }
    }
  }
}
