import type { KeyRecord } from "./key-record.ts";

/** What was read of a key is used for so long: a process that missed to hear of its end goes on no longer. */
const FRESH_MS = 4_000;
/** The least recently used is given up first. */
const MOST_KEPT = 5_000;

interface Known {
  record: KeyRecord;
  /** When it was asked for, by this process's clock. */
  askedAt: number;
  /** The time when it was read, in ms. */
  nowMs: number;
}

/** A key, and the time in ms by the clock that its ends go by. */
export interface KeyNow {
  record: KeyRecord;
  nowMs: number;
}

type Read = (id: string) => Promise<{ nowMs: number; record: KeyRecord | undefined }>;

/**
 * What this process has read of keys lately. A key that is not there is not remembered: one that was just made works at once, and
 * what others guess takes no room.
 */
export class KeyCache {
  readonly #read: Read;
  readonly #kept = new Map<string, Known>();
  readonly #reading = new Map<string, Promise<Known | undefined>>();

  constructor(read: Read) {
    this.#read = read;
  }

  /** @throws UnavailableError */
  async get(id: string): Promise<KeyNow | undefined> {
    const kept = this.#kept.get(id);
    const known = kept !== undefined && isFresh(kept) ? kept : await this.#readOnce(id);
    if (known === undefined) return undefined;
    // As the newest from now on, unless it was dropped meanwhile.
    if (this.#kept.get(id) === known) this.#keep(id, known);
    return { record: known.record, nowMs: known.nowMs + performance.now() - known.askedAt };
  }

  /** What is known of a key is void. */
  drop(id: string): void {
    this.#kept.delete(id);
    this.#reading.delete(id);
  }

  /** All that is known is. */
  clear(): void {
    this.#kept.clear();
    this.#reading.clear();
  }

  /** One read for all who ask meanwhile. */
  #readOnce(id: string): Promise<Known | undefined> {
    const under = this.#reading.get(id);
    if (under !== undefined) return under;
    const askedAt = performance.now();
    const reading = this.#read(id)
      .then(({ nowMs, record }) => {
        const known = record === undefined ? undefined : { record, askedAt, nowMs };
        // Dropped meanwhile, it may be of before.
        if (this.#reading.get(id) === reading) this.#keep(id, known);
        return known;
      })
      .finally(() => {
        if (this.#reading.get(id) === reading) this.#reading.delete(id);
      });
    this.#reading.set(id, reading);
    return reading;
  }

  #keep(id: string, known: Known | undefined): void {
    this.#kept.delete(id);
    if (known === undefined) return;
    this.#kept.set(id, known);
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= MOST_KEPT) return;
      this.#kept.delete(oldest);
    }
  }
}

function isFresh({ askedAt }: Known): boolean {
  return performance.now() - askedAt < FRESH_MS;
}
