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
   * @returns what to ask each stream for: never more in all than `free`
   */
  of(free: number, freeOf: readonly number[]): number[] {
    const shares = freeOf.map(() => 0);
    const left = this.#deal(shares, free, (i) => Math.min(freeOf[i]!, this.#expected[i]!));
    // What nobody is thought to need goes to whoever may have it: a guess may be wrong.
    if (left > 0) this.#deal(shares, left, (i) => freeOf[i]!);
    return shares;
  }

  /** Tells what a stream gave. */
  gave(stream: number, asked: number, given: number): void {
    this.#expected[stream] = given === asked ? 2 * asked : given + PROBE;
  }

  /** Raises the shares up to each stream's limit, by weight, for as long as there is something left. */
  #deal(shares: number[], free: number, limit: (stream: number) => number): number {
    const room = (i: number) => limit(i) - shares[i]!;
    const weight = (i: number) => this.#weights[i]!;
    const wanting = [...shares.keys()].filter((i) => room(i) > 0);
    wanting.sort((a, b) => room(a) / weight(a) - room(b) / weight(b));
    let left = free;
    let part = free;
    let weights = wanting.reduce((sum, i) => sum + weight(i), 0);
    const fractions: [stream: number, fraction: number][] = [];
    for (const i of wanting) {
      const fair = Math.min(room(i), (part * weight(i)) / weights);
      part -= fair;
      weights -= weight(i);
      const whole = Math.floor(fair + EPSILON);
      shares[i]! += whole;
      left -= whole;
      if (fair - whole > EPSILON) fractions.push([i, fair - whole]);
    }
    for (const [i, fraction] of fractions) this.#owed[i]! += fraction;
    fractions.sort(([a], [b]) => this.#owed[b]! - this.#owed[a]!);
    for (const [i] of fractions.slice(0, left)) {
      shares[i]! += 1;
      this.#owed[i]! -= 1;
      left -= 1;
    }
    return left;
  }
}
