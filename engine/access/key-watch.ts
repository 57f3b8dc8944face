import { logger } from "../log.ts";
import { Loop } from "../service.ts";
import type { KeyEnd, VerifiedKey } from "./api.ts";
import { endOf, type KeyRecord, whyEnded } from "./key-record.ts";

const log = logger("access");

/** With what a verification may be behind, this is less than the 10 s that are promised. */
const LOOK_EVERY_MS = 3_000;
const KEYS_AT_ONCE = 100;

interface Watch {
  secretNumber: number;
  tell: (why: KeyEnd) => void;
}

type ReadAll = (ids: readonly string[]) => Promise<{ nowMs: number; keys: (KeyRecord | undefined)[] }>;

/** Tells those who hold on to a key when it has come to its end: what is stored of these keys is read every few seconds. */
export class KeyWatch {
  readonly #readAll: ReadAll;
  readonly #watched = new Map<string, Set<Watch>>();
  readonly #loop = new Loop("access", LOOK_EVERY_MS, () => this.#look());
  #started = false;

  constructor(readAll: ReadAll) {
    this.#readAll = readAll;
  }

  /** @returns stops it */
  add({ id, secretNumber }: Pick<VerifiedKey, "id" | "secretNumber">, tell: (why: KeyEnd) => void): () => void {
    const watch = { secretNumber, tell };
    const others = this.#watched.get(id);
    if (others === undefined) this.#watched.set(id, new Set([watch]));
    else others.add(watch);
    if (!this.#started) this.#loop.start(LOOK_EVERY_MS);
    this.#started = true;
    return () => this.#remove(id, watch);
  }

  /** Something has become of this key, or may have of any. */
  heard(id?: string): void {
    if (id === undefined || this.#watched.has(id)) this.#loop.wake();
  }

  stop(): Promise<void> {
    this.#watched.clear();
    return this.#loop.stop();
  }

  #remove(id: string, watch: Watch): void {
    const watches = this.#watched.get(id);
    if (watches?.delete(watch) && watches.size === 0) this.#watched.delete(id);
  }

  /** In how many ms the next of them ends, if that is known. */
  async #look(): Promise<number | undefined> {
    const ids = [...this.#watched.keys()];
    let next = Number.POSITIVE_INFINITY;
    for (let from = 0; from < ids.length; from += KEYS_AT_ONCE) {
      const some = ids.slice(from, from + KEYS_AT_ONCE);
      const { nowMs, keys } = await this.#readAll(some);
      for (const [i, id] of some.entries()) next = Math.min(next, this.#compare(id, keys[i], nowMs));
    }
    return Number.isFinite(next) ? Math.max(1, Math.ceil(next)) : undefined;
  }

  #compare(id: string, record: KeyRecord | undefined, nowMs: number): number {
    let next = Number.POSITIVE_INFINITY;
    for (const watch of [...(this.#watched.get(id) ?? [])]) {
      const why = whyEnded(record, watch.secretNumber, nowMs);
      if (why === undefined) {
        next = Math.min(next, (endOf(record!, watch.secretNumber) ?? Number.POSITIVE_INFINITY) - nowMs);
        continue;
      }
      this.#remove(id, watch);
      try {
        watch.tell(why);
      } catch (error) {
        log.error("a listener failed: {error}", { error });
      }
    }
    return next;
  }
}
