/** How many more than last time a stream is asked for, in case it fills up. */
const PROBE = 4;

/**
 * Shares out free slots among streams. Each is asked for about as much as it gave last time, so that those with little at
 * hand leave the slots to those with much; when all have much, they share alike.
 */
export class Shares {
  /** What each stream is thought to have at hand. */
  readonly #expected: number[];
  #rotation = 0;

  constructor(streams: number) {
    this.#expected = Array.from({ length: streams }, () => PROBE);
  }

  /**
   * @param free how many slots there are in all
   * @param freeOf how many of them each stream may have
   * @returns what to ask each stream for: never more in all than `free`
   */
  of(free: number, freeOf: readonly number[]): number[] {
    const shares = freeOf.map(() => 0);
    const order = freeOf.map((_, i) => (i + this.#rotation) % freeOf.length);
    this.#rotation += 1;
    let left = this.#deal(order, shares, free, (i) => Math.min(freeOf[i]!, this.#expected[i]!));
    // What nobody is thought to need goes to whoever may have it: a guess may be wrong.
    left = this.#deal(order, shares, left, (i) => freeOf[i]!);
    return shares;
  }

  /** Tells what a stream gave. */
  gave(stream: number, asked: number, given: number): void {
    this.#expected[stream] = given === asked ? 2 * asked : given + PROBE;
  }

  /** Raises the shares up to each stream's limit, evenly, for as long as there is something left. */
  #deal(order: readonly number[], shares: number[], left: number, limit: (stream: number) => number): number {
    const room = (stream: number) => limit(stream) - shares[stream]!;
    const wanting = order.filter((i) => room(i) > 0).sort((a, b) => room(a) - room(b));
    for (const [at, i] of wanting.entries()) {
      const fair = Math.ceil(left / (wanting.length - at));
      const more = Math.max(0, Math.min(room(i), fair, left));
      shares[i]! += more;
      left -= more;
    }
    return left;
  }
}
