import { Random } from "./random.ts";
import { newSeed } from "./settings.ts";

/** Something that goes wrong, from its beginning until it is over. */
export interface Fault {
  name: string;
  /** Does the harm and mends it; what it says is noted in the schedule. Whether it hit anything is its own to check. */
  inject(random: Random): Promise<string | undefined>;
}

/**
 * A schedule of faults that a seed decides: which, and after how much progress of the load. It is printed with the seed, and
 * `SEED=N` repeats it.
 */
export class Schedule {
  readonly seed: number;
  readonly random: Random;
  readonly #planned: number;
  readonly #injected: string[] = [];

  /** @param planned how many faults must have been injected when the test is `complete` */
  constructor(planned: number, seed = newSeed()) {
    this.seed = seed;
    this.#planned = planned;
    this.random = new Random(seed);
    console.log(`fault schedule of SEED=${seed}: ${planned} faults`);
  }

  get injected(): number {
    return this.#injected.length;
  }

  /** The seed, and what was injected so far, one a line. */
  toString(): string {
    return [`SEED=${this.seed}, ${this.injected} of ${this.#planned} faults:`, ...this.#injected].join("\n  ");
  }

  /** Counts one fault that a test has injected by itself. */
  note(what: string): void {
    this.#injected.push(`${new Date().toISOString()} ${what}`);
  }

  /**
   * Injects what is planned, one after the other: each of those that are given once, in any order, and then each once more.
   *
   * @param between awaited before each: the progress of the load that it is to meet
   */
  async run(faults: readonly Fault[], between: (random: Random) => Promise<unknown>): Promise<void> {
    let left: Fault[] = [];
    try {
      while (this.injected < this.#planned) {
        await between(this.random);
        if (left.length === 0) left = [...faults];
        const [fault] = left.splice(this.random.whole(0, left.length - 1), 1);
        const { name, inject } = fault!;
        const said = await inject(this.random);
        this.note(said === undefined ? name : `${name}: ${said}`);
      }
    } catch (error) {
      throw new Error(`A fault could not be injected. ${this}`, { cause: error });
    }
  }

  /** @throws Error if fewer faults were injected than planned: then the test has shown nothing */
  complete(): void {
    const missing = this.#planned - this.injected;
    if (missing > 0) throw new Error(`${missing} faults were planned and not injected. ${this}`);
  }
}
