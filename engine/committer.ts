import type { CommitItem } from "./commit-args.ts";
import { isUndo } from "./entry.ts";
import { UnavailableError } from "./errors.ts";
import { logger } from "./log.ts";
import { pauseMs } from "./retry.ts";
import { Reply, type Store } from "./store.ts";

const log = logger("committer");

/** A script looks at no more items than this. */
const GROUP_SIZE = 100;
/** So many groups are under way at once: one is stored while the next one travels. */
const GROUPS_AT_ONCE = 3;
/** With a group under way, fewer items than this wait for it: what joins them meanwhile is stored at no extra cost. */
const WORTH_A_GROUP = 25;
/** With more items than this waiting, the worker takes nothing new. */
const BACKLOG_LIMIT = 300;
const RETRY_FROM_MS = 50;
const RETRY_TO_MS = 1_000;

/** Takes what is to be stored; gives the script's reply, or undefined if it could not be had. */
export interface Commits {
  submit(item: CommitItem): Promise<Reply | undefined>;
}

interface Waiting {
  item: CommitItem;
  resolve(reply: Reply | undefined): void;
}

/**
 * Stores what attempts come to, in groups: what becomes ready in one tick, or while earlier groups are under way, goes
 * to Redis together. A group that Redis did not answer is sent again until it does: the script makes that safe, the
 * handlers are not run again for it, and whether their leases are still good is for Redis to say.
 */
export class Committer implements Commits {
  readonly #store: Store;
  readonly #consumer: string;
  readonly #onDue: () => void;
  #queue: Waiting[] = [];
  #onStored: (() => void)[] = [];
  #underWay = 0;
  #scheduled = false;
  #closed = false;

  /** @param onDue told when something that was stored has made a timer row due at once */
  constructor(store: Store, consumer: string, onDue: () => void) {
    this.#store = store;
    this.#consumer = consumer;
    this.#onDue = onDue;
  }

  /** What has not been stored after the try that is under way is given up. */
  close(): void {
    this.#closed = true;
  }

  /** Whether so many items wait to be stored that no more work should be taken on. */
  get full(): boolean {
    return this.#queue.length > BACKLOG_LIMIT;
  }

  /** Resolves when a group was stored next. */
  stored(): Promise<void> {
    return new Promise((resolve) => this.#onStored.push(resolve));
  }

  /** The script's reply; undefined if it could not be had: the entry will be another worker's. */
  submit(item: CommitItem): Promise<Reply | undefined> {
    return new Promise((resolve) => {
      this.#queue.push({ item, resolve });
      if (this.#scheduled) return;
      this.#scheduled = true;
      queueMicrotask(() => {
        this.#scheduled = false;
        this.#flush();
      });
    });
  }

  #flush(): void {
    while (this.#underWay < GROUPS_AT_ONCE && this.#queue.length > 0) {
      if (this.#underWay > 0 && this.#queue.length < WORTH_A_GROUP) return;
      const group = this.#queue.splice(0, GROUP_SIZE);
      this.#underWay += 1;
      void this.#send(group).finally(() => {
        this.#underWay -= 1;
        for (const resolve of this.#onStored.splice(0)) resolve();
        this.#flush();
      });
    }
  }

  async #send(group: Waiting[]): Promise<void> {
    if (group.length > 1 && group.some(({ item }) => isUndo(item.entry))) return this.#sendApart(group);
    const replies = await this.#commit(group.map((waiting) => waiting.item));
    // What cannot be stored, because of a key of the wrong type or otherwise, spoils its whole group: one by one, only itself.
    const spoilt = replies === undefined || replies[0] === Reply.WrongType;
    if (group.length > 1 && spoilt && !this.#closed) for (const waiting of group) await this.#send([waiting]);
    else for (const [i, waiting] of group.entries()) waiting.resolve(this.#done(replies?.[i]));
  }

  /** What undoes a step is stored by a script of its own, one at a time. */
  async #sendApart(group: Waiting[]): Promise<void> {
    const others = group.filter(({ item }) => !isUndo(item.entry));
    const undos = group.filter(({ item }) => isUndo(item.entry));
    if (others.length > 0) await this.#send(others);
    for (const undo of undos) await this.#send([undo]);
  }

  #done(reply: Reply | undefined): Reply | undefined {
    if (reply !== Reply.DoneAndDue) return reply;
    this.#onDue();
    return Reply.Done;
  }

  async #commit(items: CommitItem[]): Promise<Reply[] | undefined> {
    for (let tries = 0; ; tries += 1) {
      try {
        return await this.#store.commit(this.#consumer, items);
      } catch (error) {
        log.warn("a group of {size} was not stored: {error}", { size: items.length, error });
        if (!(error instanceof UnavailableError) || this.#closed) return undefined;
        await new Promise((resolve) => setTimeout(resolve, pauseMs(tries, RETRY_FROM_MS, RETRY_TO_MS)));
      }
    }
  }
}
