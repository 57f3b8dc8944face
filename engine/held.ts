import type { Attempt } from "./attempt.ts";
import type { Entry, StepStream } from "./entry.ts";

/** So many of a step with limits are looked at at once, to find out whose they are: that takes no slot. */
const LOOKED_AT_ONCE = 50;
/** So many are remembered of each step. Others took them over long ago. */
const UNSETTLED_LIMIT = 1_000;

/** What this worker holds: every attempt from its delivery until its end is stored, and the slots they take. */
export class HeldAttempts {
  readonly #streams: readonly StepStream[];
  readonly #concurrency: number;
  readonly #attempts: Map<string, Attempt>[];
  readonly #unsettled: Map<string, Entry>[];
  readonly #running: number[];
  readonly #slots = new Set<Attempt>();
  readonly #lookedAt = new Set<Attempt>();
  #waiting: (() => void)[] = [];
  #onFreed: ((stream: StepStream) => void) | undefined;

  constructor(streams: readonly StepStream[], concurrency: number) {
    this.#streams = streams;
    this.#concurrency = concurrency;
    this.#attempts = streams.map(() => new Map());
    this.#unsettled = streams.map(() => new Map());
    this.#running = streams.map(() => 0);
  }

  free(): number {
    return this.#concurrency - this.#slots.size;
  }

  freeOf(stream: StepStream): number {
    if (stream.gate === "before") return LOOKED_AT_ONCE - this.#running[this.#index(stream)]!;
    const own = stream.step.concurrency ?? this.#concurrency;
    return Math.min(this.free(), own - this.#running[this.#index(stream)]!);
  }

  of(stream: StepStream): Entry[] {
    return Array.from(this.#attempts[this.#index(stream)]!.values(), (attempt) => attempt.entry);
  }

  /** The entries that were begun here and may still be pending for this worker. What is pending beyond them was never begun. */
  begun(stream: StepStream): Entry[] {
    return [...this.of(stream), ...this.#unsettled[this.#index(stream)]!.values()];
  }

  all(): Attempt[] {
    return this.#attempts.flatMap((attempts) => [...attempts.values()]);
  }

  find(entry: Entry): Attempt | undefined {
    return this.#attempts[this.#index(entry.stream)]!.get(entry.id);
  }

  /** From here on the attempt is kept alive. */
  add(attempt: Attempt): void {
    const index = this.#index(attempt.entry.stream);
    this.#attempts[index]!.set(attempt.entry.id, attempt);
    this.#unsettled[index]!.delete(attempt.entry.id);
  }

  /** Takes a slot for an attempt. False if there is none for its step. */
  takeSlot(attempt: Attempt): boolean {
    const { stream } = attempt.entry;
    if (this.freeOf(stream) <= 0) return false;
    this.#running[this.#index(stream)]! += 1;
    (stream.gate === "before" ? this.#lookedAt : this.#slots).add(attempt);
    return true;
  }

  /** Its handler is done: the slot is free, while its end is still to be stored. Idempotent. */
  freeSlot(attempt: Attempt): void {
    if (!this.#slots.delete(attempt) && !this.#lookedAt.delete(attempt)) return;
    this.#running[this.#index(attempt.entry.stream)]! -= 1;
    this.#onFreed?.(attempt.entry.stream);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  remove(attempt: Attempt): void {
    this.freeSlot(attempt);
    const attempts = this.#attempts[this.#index(attempt.entry.stream)]!;
    if (attempts.get(attempt.entry.id) === attempt) attempts.delete(attempt.entry.id);
  }

  /** As `remove`, where Redis did not say what became of it: its lease runs out, and only then is it delivered again. */
  abandon(attempt: Attempt): void {
    this.remove(attempt);
    const unsettled = this.#unsettled[this.#index(attempt.entry.stream)]!;
    unsettled.set(attempt.entry.id, attempt.entry);
    if (unsettled.size > UNSETTLED_LIMIT) for (const oldest of unsettled.keys()) return void unsettled.delete(oldest);
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
