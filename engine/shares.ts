/** How many more than last time a stream is asked for, in case it fills up. */
const PROBE = 4;
/** What the sums of fractions may be off by. */
const EPSILON = 1e-9;

/**
 * Shares out free slots among streams by their weights. Each is asked for about as much as it gave last time, so that those
 * with little at hand leave the slots to those with much; when all have much, each has its weight's part. What cannot be
 * divided goes to whoever is owed most, so that none waits for ever.
 */
export class Shares {
  readonly #weights: readonly number[];
  /** What each stream is thought to have at hand. */
  readonly #expected: number[];
  /** The parts of slots that each stream has had too little so far. */
  readonly #owed: number[];

  constructor(weights: readonly number[]) {
    this.#weights = weights;
    this.#expected = weights.map(() => PROBE);
    this.#owed = weights.map(() => 0);
  }

  /**
   * @param free how many slots there are in all
   * @param freeOf how many of them each stream may have
   * @param streams which streams these are, by their numbers; all of them if it is not said
   * @returns what to ask each stream for: never more in all than `free`
   */
  of(free: number, freeOf: readonly number[], streams: readonly number[] = [...freeOf.keys()]): number[] {
    const shares = freeOf.map(() => 0);
    const left = this.#deal(streams, shares, free, (k) => Math.min(freeOf[k]!, this.#expected[streams[k]!]!));
    // What nobody is thought to need goes to whoever may have it: a guess may be wrong.
    if (left > 0) this.#deal(streams, shares, left, (k) => freeOf[k]!);
    return shares;
  }

  /** Tells what a stream gave. */
  gave(stream: number, asked: number, given: number): void {
    this.#expected[stream] = given === asked ? 2 * asked : given + PROBE;
  }

  /** Raises the shares up to each limit, by the streams' weights, for as long as there is something left. */
  #deal(streams: readonly number[], shares: number[], free: number, limit: (k: number) => number): number {
    const room = (k: number) => limit(k) - shares[k]!;
    const weight = (k: number) => this.#weights[streams[k]!]!;
    const owed = (k: number) => this.#owed[streams[k]!]!;
    const owe = (k: number, more: number) => {
      this.#owed[streams[k]!]! += more;
    };
    const wanting = [...shares.keys()].filter((k) => room(k) > 0);
    wanting.sort((a, b) => room(a) / weight(a) - room(b) / weight(b));
    let left = free;
    let part = free;
    let weights = wanting.reduce((sum, k) => sum + weight(k), 0);
    const fractions: [k: number, fraction: number][] = [];
    for (const k of wanting) {
      const fair = Math.min(room(k), (part * weight(k)) / weights);
      part -= fair;
      weights -= weight(k);
      const whole = Math.floor(fair + EPSILON);
      shares[k]! += whole;
      left -= whole;
      if (fair - whole > EPSILON) fractions.push([k, fair - whole]);
    }
    for (const [k, fraction] of fractions) owe(k, fraction);
    fractions.sort(([a], [b]) => owed(b) - owed(a));
    for (const [k] of fractions.slice(0, left)) {
      shares[k]! += 1;
      owe(k, -1);
      left -= 1;
    }
    return left;
  }
}
