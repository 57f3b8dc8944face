import { errorClass } from "./redis/error-class.ts";

/** A worker that was not heard of for this long is no longer counted as alive. */
const SEEN_WITHIN_MS = 30_000;
/** Nor is one that finished no read for this long: a read blocks for 2 s, and is given up after 5 s at the most. */
const READ_WITHIN_MS = 10_000;

/** How a loop that reads is doing. */
export interface ReadHealth {
  /** How long ago it last finished a read, in ms; one that came back with nothing counts. */
  silentMs: number;
  /** How often reading has failed since it was started, by `errorClass`. */
  readerErrors: Record<string, number>;
}

/** How a worker process is doing, by its own word. */
export interface WorkerHealth extends ReadHealth {
  /** Whether it has finished a read of each partition lately. */
  alive: boolean;
}

/** A worker, or a consumer of a subscription, as the others see it. */
export interface WorkerView extends WorkerHealth {
  id: string;
  /** How long ago it was last heard of, in ms. */
  seenAgoMs: number;
}

/** Keeps count of what becomes of reads. */
export class ReadWatch {
  #readAt = performance.now();
  readonly #errors = new Map<string, number>();

  finished(): void {
    this.#readAt = performance.now();
  }

  failed(error: unknown): void {
    const name = errorClass(error);
    this.#errors.set(name, (this.#errors.get(name) ?? 0) + 1);
  }

  get health(): ReadHealth {
    return { silentMs: Math.round(performance.now() - this.#readAt), readerErrors: Object.fromEntries(this.#errors) };
  }
}

/** Whether one that was seen, and said then that its reads were silent for so long, can be taken to work. */
export function isAlive({ seenAgoMs, silentMs }: { seenAgoMs: number; silentMs: number }): boolean {
  return seenAgoMs < SEEN_WITHIN_MS && silentMs < READ_WITHIN_MS;
}

/** Of what a worker does in each partition, how it is doing in all: as in the one that does worst. */
export function healthOf(parts: readonly ReadHealth[]): WorkerHealth {
  const silentMs = Math.max(...parts.map((part) => part.silentMs));
  const readerErrors = sumErrors(parts);
  return { alive: isAlive({ seenAgoMs: 0, silentMs }), silentMs, readerErrors };
}

/** Those of all partitions, each once. */
export function workerViews(listed: readonly (ReadHealth & { consumer: string; seenAgoMs: number })[]): WorkerView[] {
  const ids = [...new Set(listed.map(({ consumer }) => consumer))].sort();
  return ids.map((id) => {
    const parts = listed.filter(({ consumer }) => consumer === id);
    const seenAgoMs = Math.max(...parts.map((part) => part.seenAgoMs));
    return { id, seenAgoMs, ...healthOf(parts), alive: parts.every(isAlive) };
  });
}

/** How often reading has failed in all, by class. */
export function sumErrors(parts: readonly Pick<ReadHealth, "readerErrors">[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const { readerErrors } of parts)
    for (const [name, count] of Object.entries(readerErrors)) sums[name] = (sums[name] ?? 0) + count;
  return sums;
}
