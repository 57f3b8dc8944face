import { MillraceError, OverloadedError, UnavailableError } from "./errors.ts";
import type { PartitionKeys } from "./keys.ts";
import { logger } from "./log.ts";

const log = logger("memory");

/** Above this share of Redis's memory limit no new run is taken: what was taken needs the rest to come to its end. */
export const WATERMARK = 0.9;
const LOOK_EVERY_MS = 1_000;
/** What a client that was refused is asked to wait. */
const RETRY_AFTER_MS = 5_000;

interface Look {
  at: number;
  isFull: boolean;
}

/**
 * Whether Redis has memory for new runs, looked at once a second and only where it has a limit. A policy that evicts keeps
 * Redis at its limit all the time, which says nothing: there Redis itself refuses once nothing is left to evict.
 */
export class MemoryWatch {
  readonly #info: (keys: PartitionKeys) => Promise<string>;
  /** By partition: on a cluster they are on several servers. */
  readonly #looks = new Map<number, Promise<Look>>();

  /** @param info what the server of a partition says about its memory, as `INFO memory` does */
  constructor(info: (keys: PartitionKeys) => Promise<string>) {
    this.#info = info;
  }

  /**
   * Stores something new, unless memory is short.
   *
   * @param isKnown whether it is there already, so that being asked for it again takes no memory
   * @throws OverloadedError; and what `store` throws
   */
  async guard<T>(keys: PartitionKeys, isKnown: () => Promise<boolean>, store: () => Promise<T>): Promise<T> {
    if ((await this.#look(keys)).isFull && !(await isKnown())) throw overloaded();
    try {
      return await store();
    } catch (error) {
      // Between two looks it was Redis that refused.
      const { cause } = error instanceof UnavailableError ? error : {};
      throw cause instanceof Error && cause.message.startsWith("OOM") ? overloaded(error) : error;
    }
  }

  async #look(keys: PartitionKeys): Promise<Look> {
    const now = performance.now();
    const last = await this.#looks.get(keys.index);
    if (last !== undefined && now - last.at < LOOK_EVERY_MS) return last;
    const look = this.#read(keys, now);
    this.#looks.set(keys.index, look);
    return look;
  }

  async #read(keys: PartitionKeys, at: number): Promise<Look> {
    try {
      return { at, isFull: isFull(await this.#info(keys)) };
    } catch (error) {
      // Who may not ask, or gets no answer, is told by the calls themselves.
      if (!(error instanceof MillraceError)) throw error;
      log.debug("how full Redis is is not known: {error}", { error });
      return { at, isFull: false };
    }
  }
}

/** Whether what `INFO memory` says is above the watermark. */
export function isFull(info: string): boolean {
  const { usedBytes, limitBytes } = memoryOf(info);
  const evicts = /^maxmemory_policy:(?!noeviction)/m.test(info);
  return limitBytes > 0 && !evicts && usedBytes > WATERMARK * limitBytes;
}

/** Of what `INFO memory` says, what counts against the limit, and the limit, 0 for none. */
export function memoryOf(info: string): { usedBytes: number; limitBytes: number } {
  const usedBytes = number(info, "used_memory") - number(info, "mem_not_counted_for_evict");
  return { usedBytes, limitBytes: number(info, "maxmemory") };
}

function number(info: string, name: string): number {
  return Number(new RegExp(`^${name}:(\\d+)`, "m").exec(info)?.[1] ?? 0);
}

function overloaded(cause?: unknown): OverloadedError {
  return new OverloadedError("Redis is short of memory, and takes nothing new.", RETRY_AFTER_MS, { cause });
}
