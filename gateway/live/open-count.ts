import type { Caller } from "../access/caller.ts";
import type { Limits } from "../limits.ts";
import { ProblemError } from "../problem.ts";

/** How many sockets and event streams this process has open, in all and by whose they are. */
export class OpenCount {
  readonly #limits: Pick<Limits, "sockets" | "socketsPerKey">;
  readonly #of = new Map<string, number>();
  #all = 0;

  constructor(limits: Pick<Limits, "sockets" | "socketsPerKey">) {
    this.#limits = limits;
  }

  /**
   * Counts one more.
   *
   * @returns counts it no more; to be called when it is closed, once or more often
   * @throws ProblemError 429 if there is no room, for this caller (one key, subject, or the tickets of one key) or in all
   */
  enter(caller: Pick<Caller, "holder" | "name">): () => void {
    const name = caller.holder ?? caller.name;
    const { sockets, socketsPerKey } = this.#limits;
    const mine = this.#of.get(name) ?? 0;
    if (mine >= socketsPerKey)
      throw tooMany(`One key has ${socketsPerKey} sockets and event streams open here at the most. Close one first.`);
    if (this.#all >= sockets)
      throw tooMany("There are as many sockets and event streams open here as there may be. Try again later.");
    this.#of.set(name, mine + 1);
    this.#all += 1;
    let isOpen = true;
    return () => {
      if (!isOpen) return;
      isOpen = false;
      this.#all -= 1;
      const left = this.#of.get(name)! - 1;
      if (left > 0) this.#of.set(name, left);
      else this.#of.delete(name);
    };
  }
}

function tooMany(detail: string): ProblemError {
  return new ProblemError(429, "too_many_sockets", detail, { headers: { "Retry-After": "10" } });
}
