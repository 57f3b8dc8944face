import type { Slots } from "./asks.ts";
import type { Attempt } from "./attempt.ts";
import { type Entry, isOnLastChance, type StepStream } from "./entry.ts";
import type { Step } from "./step.ts";

/** So many of a stream before a gate are looked at at once, to find out whose they are: that takes no slot. */
const LOOKED_AT_ONCE = 50;
/** So many are remembered of each step. Others took them over long ago. */
const UNSETTLED_LIMIT = 1_000;

interface OfStream {
  attempts: Map<string, Attempt>;
  unsettled: Map<string, Entry>;
}

/** What this worker holds: every attempt from its delivery until its end is stored, and the slots they take. */
export class HeldAttempts {
  readonly #concurrency: number;
  readonly #streams = new Map<StepStream, OfStream>();
  readonly #running = new Map<Step, number>();
  readonly #slots = new Set<Attempt>();
  readonly #lookedAt = new Map<StepStream, Set<Attempt>>();
  /** Slots that entries which were asked for will take, by step. */
  readonly #asked = new Map<Step, number>();
  #askedInAll = 0;
  #isChanceGiven = false;
  #waiting: (() => void)[] = [];
  readonly #onFreed: (() => void)[] = [];

  constructor(concurrency: number) {
    this.#concurrency = concurrency;
  }

  free(): number {
    return this.#concurrency - this.#slots.size;
  }

  /** How many of them its step may have, in whichever lane. */
  freeOf(stream: StepStream): number {
    const { step, gate } = stream;
    if (gate === "before") return LOOKED_AT_ONCE - this.#lookedAtOf(stream).size;
    const own = step.concurrency ?? this.#concurrency;
    return Math.min(this.free(), own - (this.#running.get(step) ?? 0));
  }

  /** The free slots that are not kept for what other partitions are being asked for. */
  readonly unasked: Slots = {
    free: () => this.free() - this.#askedInAll,
    freeOf: (stream) => {
      if (stream.gate === "before") return this.freeOf(stream);
      return Math.min(this.unasked.free(), this.freeOf(stream) - (this.#asked.get(stream.step) ?? 0));
    },
  };

  /**
   * Keeps the slots for what is being asked for: other partitions are read at the same time.
   *
   * @returns what gives them up again, once the answer is there
   */
  ask(wanted: readonly [StepStream, number][]): () => void {
    const add = (sign: 1 | -1) => {
      for (const [{ step, gate }, count] of wanted) {
        if (gate === "before") continue;
        this.#asked.set(step, (this.#asked.get(step) ?? 0) + sign * count);
        this.#askedInAll += sign * count;
      }
    };
    add(1);
    return () => {
      add(-1);
      this.#wake();
    };
  }

  /** Resolves when something that was asked for is answered, or a slot is freed. */
  answered(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  /**
   * Lets one entry at a time be taken over that is on its last chance, whatever its partition.
   *
   * @returns what is to be called once it is held, or was not there; undefined while there is one
   */
  lastChance(): (() => void) | undefined {
    if (this.#isChanceGiven || this.all().some(({ entry }) => isOnLastChance(entry))) return undefined;
    this.#isChanceGiven = true;
    return () => {
      this.#isChanceGiven = false;
    };
  }

  of(stream: StepStream): Entry[] {
    return Array.from(this.#of(stream).attempts.values(), (attempt) => attempt.entry);
  }

  /** The entries that were begun here and may still be pending for this worker. What is pending beyond them was never begun. */
  begun(stream: StepStream): Entry[] {
    return [...this.of(stream), ...this.#of(stream).unsettled.values()];
  }

  all(): Attempt[] {
    return [...this.#streams.values()].flatMap(({ attempts }) => [...attempts.values()]);
  }

  find(entry: Entry): Attempt | undefined {
    return this.#of(entry.stream).attempts.get(entry.id);
  }

  /** From here on the attempt is kept alive. */
  add(attempt: Attempt): void {
    const { attempts, unsettled } = this.#of(attempt.entry.stream);
    attempts.set(attempt.entry.id, attempt);
    unsettled.delete(attempt.entry.id);
  }

  /** Takes a slot for an attempt. False if there is none for its step. */
  takeSlot(attempt: Attempt): boolean {
    const { stream } = attempt.entry;
    if (this.freeOf(stream) <= 0) return false;
    if (stream.gate === "before") {
      this.#lookedAtOf(stream).add(attempt);
      return true;
    }
    this.#run(stream, 1);
    this.#slots.add(attempt);
    return true;
  }

  /** Its handler is done: the slot is free, while its end is still to be stored. Idempotent. */
  freeSlot(attempt: Attempt): void {
    const { stream } = attempt.entry;
    if (this.#slots.delete(attempt)) this.#run(stream, -1);
    else if (stream.gate !== "before" || !this.#lookedAtOf(stream).delete(attempt)) return;
    for (const listener of this.#onFreed) listener();
    this.#wake();
  }

  remove(attempt: Attempt): void {
    this.freeSlot(attempt);
    const { attempts } = this.#of(attempt.entry.stream);
    if (attempts.get(attempt.entry.id) === attempt) attempts.delete(attempt.entry.id);
  }

  /** As `remove`, where Redis did not say what became of it: its lease runs out, and only then is it delivered again. */
  abandon(attempt: Attempt): void {
    this.remove(attempt);
    const { unsettled } = this.#of(attempt.entry.stream);
    unsettled.set(attempt.entry.id, attempt.entry);
    if (unsettled.size > UNSETTLED_LIMIT) for (const oldest of unsettled.keys()) return void unsettled.delete(oldest);
  }

  /** Told of every slot that is freed, of whichever partition's stream: a step's slots are the same in all of them. */
  onFreed(listener: () => void): void {
    this.#onFreed.push(listener);
  }

  #of(stream: StepStream): OfStream {
    let known = this.#streams.get(stream);
    if (known === undefined) {
      known = { attempts: new Map(), unsettled: new Map() };
      this.#streams.set(stream, known);
    }
    return known;
  }

  #lookedAtOf(stream: StepStream): Set<Attempt> {
    let known = this.#lookedAt.get(stream);
    if (known === undefined) {
      known = new Set();
      this.#lookedAt.set(stream, known);
    }
    return known;
  }

  #run({ step }: StepStream, more: number): void {
    this.#running.set(step, (this.#running.get(step) ?? 0) + more);
  }
}
