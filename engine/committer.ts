import type { CommitItem } from "./commit-args.ts";
import { UnavailableError } from "./errors.ts";
import { logger } from "./log.ts";
import type { Reply, Store } from "./store.ts";

const log = logger("committer");

/** A script looks at no more items than this. */
const GROUP_SIZE = 100;
/** So many groups are under way at once: one is stored while the next one travels. */
const GROUPS_AT_ONCE = 2;
const RETRY_FROM_MS = 50;
const RETRY_TO_MS = 1_000;

interface Waiting {
  item: CommitItem;
  resolve(reply: Reply | undefined): void;
}

/**
 * Stores what attempts come to, in groups: what becomes ready in one tick, or while earlier groups are under way, goes
 * to Redis together. A group that Redis did not answer is sent again for up to a lease: the script makes that safe, and
 * the handlers are not run again for it.
 */
export class Committer {
  readonly #store: Store;
  readonly #consumer: string;
  readonly #leaseMs: number;
  #queue: Waiting[] = [];
  #underWay = 0;
  #scheduled = false;

  constructor(store: Store, consumer: string, leaseMs: number) {
    this.#store = store;
    this.#consumer = consumer;
    this.#leaseMs = leaseMs;
  }

  /** How many items are not stored yet. */
  get backlog(): number {
    return this.#queue.length + this.#underWay * GROUP_SIZE;
  }

  /** The script's reply; undefined if it could not be had within a lease: the entry is another worker's by then. */
  submit(item: CommitItem): Promise<Reply | undefined> {
    return new Promise((resolve) => {
      this.#queue.push({ item, resolve });
      if (this.#scheduled) return;
      this.#scheduled = true;
      setImmediate(() => {
        this.#scheduled = false;
        this.#flush();
      });
    });
  }

  #flush(): void {
    while (this.#underWay < GROUPS_AT_ONCE && this.#queue.length > 0) {
      // With a group under way, a small one waits for it: what joins it meanwhile is stored at no extra cost.
      if (this.#underWay > 0 && this.#queue.length < GROUP_SIZE) return;
      const group = this.#queue.splice(0, GROUP_SIZE);
      this.#underWay += 1;
      void this.#send(group).finally(() => {
        this.#underWay -= 1;
        this.#flush();
      });
    }
  }

  async #send(group: Waiting[]): Promise<void> {
    const items = group.map((waiting) => waiting.item);
    const deadline = performance.now() + this.#leaseMs;
    for (let tries = 0; ; tries += 1) {
      try {
        const replies = await this.#store.commit(this.#consumer, items);
        for (const [i, waiting] of group.entries()) waiting.resolve(replies[i]);
        return;
      } catch (error) {
        const passing = error instanceof UnavailableError;
        log.warn("a group of {size} was not stored: {error}", { size: group.length, error });
        if (!passing || performance.now() > deadline) break;
        const ceiling = Math.min(RETRY_TO_MS, RETRY_FROM_MS * 2 ** Math.min(tries, 10));
        await new Promise((resolve) => setTimeout(resolve, ceiling * (0.5 + Math.random() / 2)));
      }
    }
    for (const waiting of group) waiting.resolve(undefined);
  }
}
