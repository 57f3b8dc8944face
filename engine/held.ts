import type { Attempt } from "./attempt.ts";
import type { Entry, StepStream } from "./entry.ts";

/** What this worker holds: every attempt from its delivery until its end is stored, and the slots they take. */
export class HeldAttempts {
  readonly #streams: readonly StepStream[];
  readonly #concurrency: number;
  readonly #attempts: Map<string, Attempt>[];
  readonly #running: number[];
  #total = 0;
  #waiting: (() => void)[] = [];
  #onFreed: ((stream: StepStream) => void) | undefined;

  constructor(streams: readonly StepStream[], concurrency: number) {
    this.#streams = streams;
    this.#concurrency = concurrency;
    this.#attempts = streams.map(() => new Map());
    this.#running = streams.map(() => 0);
  }

  /** How many attempts have a slot. */
  get running(): number {
    return this.#total;
  }

  /** How many entries are held, those whose end is being stored included. */
  get size(): number {
    return this.#attempts.reduce((sum, attempts) => sum + attempts.size, 0);
  }

  free(): number {
    return this.#concurrency - this.#total;
  }

  freeOf(stream: StepStream): number {
    const own = stream.step.concurrency ?? this.#concurrency;
    return Math.min(this.free(), own - this.#running[this.#index(stream)]!);
  }

  has(entry: Entry): boolean {
    return this.#attempts[this.#index(entry.stream)]!.has(entry.id);
  }

  of(stream: StepStream): Entry[] {
    return Array.from(this.#attempts[this.#index(stream)]!.values(), (attempt) => attempt.entry);
  }

  all(): Attempt[] {
    return this.#attempts.flatMap((attempts) => [...attempts.values()]);
  }

  find(entry: Entry): Attempt | undefined {
    return this.#attempts[this.#index(entry.stream)]!.get(entry.id);
  }

  /** From here on the attempt is kept alive and takes a slot. */
  add(attempt: Attempt): void {
    const index = this.#index(attempt.entry.stream);
    this.#attempts[index]!.set(attempt.entry.id, attempt);
    this.#running[index]! += 1;
    this.#total += 1;
  }

  /** Its handler is done: the slot is free, while its end is still to be stored. */
  freeSlot(attempt: Attempt): void {
    this.#running[this.#index(attempt.entry.stream)]! -= 1;
    this.#total -= 1;
    this.#onFreed?.(attempt.entry.stream);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  remove(attempt: Attempt): void {
    this.#attempts[this.#index(attempt.entry.stream)]!.delete(attempt.entry.id);
  }

  /** Resolves when a slot is freed next. */
  freed(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  onFreed(listener: (stream: StepStream) => void): void {
    this.#onFreed = listener;
  }

  #index(stream: StepStream): number {
    return this.#streams.indexOf(stream);
  }
}
