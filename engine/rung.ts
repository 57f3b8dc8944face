import type { Bell } from "./bell.ts";
import type { StepStream } from "./entry.ts";

/** How long a ring that was missed may go unnoticed. */
const SWEEP_MS = 2_000;

/**
 * Which of a partition's many streams have something to read, as far as is known: those for which it rang, and now and
 * then those where a look at all finds something.
 */
export class RungStreams {
  readonly #bell: Bell;
  /** Each stream and its place among all. */
  #places: ReadonlyMap<StepStream, number> = new Map();
  #byKey: ReadonlyMap<string, StepStream> = new Map();
  #sweptAt = Number.NEGATIVE_INFINITY;
  readonly #waiting = new Set<StepStream>();

  constructor(bell: Bell) {
    this.#bell = bell;
  }

  /** From here on it is these. */
  reset(streams: readonly StepStream[]): void {
    this.#places = new Map(streams.map((stream, place) => [stream, place]));
    this.#byKey = new Map(streams.map((stream) => [stream.key, stream]));
    this.#waiting.clear();
    this.#sweptAt = Number.NEGATIVE_INFINITY;
  }

  /**
   * Those that may have something, in the order of all.
   *
   * @param look which of these streams have undelivered entries; asked if all are due to be looked at
   */
  async waiting(look: (streams: readonly StepStream[]) => Promise<Iterable<StepStream>>): Promise<StepStream[]> {
    const rung = this.#bell.take();
    if (rung === undefined || this.dueInMs <= 0) {
      this.#sweptAt = performance.now();
      for (const stream of await look([...this.#places.keys()])) this.#waiting.add(stream);
    }
    for (const key of rung ?? []) {
      const stream = this.#byKey.get(key);
      if (stream !== undefined) this.#waiting.add(stream);
    }
    return [...this.#waiting].sort((a, b) => this.#places.get(a)! - this.#places.get(b)!);
  }

  /** It had no more than it gave: nothing is to be had there until it rings. */
  emptied(stream: StepStream): void {
    this.#waiting.delete(stream);
  }

  /** Whether `waiting` may say something new. */
  get hasNews(): boolean {
    return this.#bell.hasRung || this.dueInMs <= 0;
  }

  /** When all are looked at again. */
  get dueInMs(): number {
    return this.#sweptAt + SWEEP_MS - performance.now();
  }

  close(): void {
    this.#bell.close();
  }
}
