import { Client, type Link, type Runnable } from "../../../engine/redis/client.ts";
import type { Random } from "./random.ts";

/** Who makes calls: a worker or a caller. One that is dead gets none through. */
export interface Party {
  readonly name: string;
  isDead: boolean;
}

interface WaitingCall {
  party: Party;
  what: string;
  go: () => Promise<unknown>;
  resolve: (reply: unknown) => void;
  reject: (error: unknown) => void;
}

/** So many turns of the event loop others have to come with calls of their own before one is let through. */
const TURNS = 4;
/** So much is remembered for whoever looks into a failure. */
const REMEMBERED = 200;

/**
 * Lets the script calls of several parties through one at a time, in an order that a seed decides: between any two scripts
 * of one, those of the others may come. A party that has died waits for ever, until it is revived as the zombie that it is.
 */
export class Interleaver {
  readonly #random: Random;
  readonly #waiting: WaitingCall[] = [];
  readonly #trace: string[] = [];
  #arrived = Promise.withResolvers<void>();
  #isOpen = false;
  #steps = 0;
  readonly #atSteps: { step: number; resolve: () => void }[] = [];
  readonly #driving: Promise<void>;

  constructor(random: Random) {
    this.#random = random;
    this.#driving = this.#drive();
  }

  /** The last calls that were let through, one a line. */
  get trace(): string {
    return this.#trace.join("\n");
  }

  get steps(): number {
    return this.#steps;
  }

  /** Makes clients for one party, for `connectBy`. */
  clientOf(party: Party): (link: Link) => Client {
    return (link) => new SteppedClient(link, (script, go) => this.#step(party, script.name, go));
  }

  /** Resolves after so many more calls. */
  after(steps: number): Promise<void> {
    return new Promise((resolve) => this.#atSteps.push({ step: this.#steps + steps, resolve }));
  }

  /** Nothing of it gets through any more; of what is on its way the reply is lost. */
  kill(party: Party): void {
    party.isDead = true;
    this.#trace.push(`${party.name} dies`);
  }

  /** Lets everything through from here on, in the order in which it comes; what the dead had in hand as well. */
  async open(): Promise<void> {
    this.#isOpen = true;
    this.#arrived.resolve();
    await this.#driving;
    for (const { go, resolve, reject } of this.#waiting.splice(0)) void go().then(resolve, reject);
    for (const { resolve } of this.#atSteps.splice(0)) resolve();
  }

  #step(party: Party, what: string, go: () => Promise<unknown>): Promise<unknown> {
    if (this.#isOpen) return go();
    return new Promise((resolve, reject) => {
      this.#waiting.push({ party, what, go, resolve, reject });
      this.#arrived.resolve();
    });
  }

  async #drive(): Promise<void> {
    while (!this.#isOpen) {
      for (let turns = 0; turns < TURNS; turns += 1) await new Promise((resolve) => setImmediate(resolve));
      const ready = this.#waiting.filter(({ party }) => !party.isDead);
      if (ready.length > 0) {
        await this.#letThrough(this.#random.pick(ready));
        continue;
      }
      await this.#arrived.promise;
      this.#arrived = Promise.withResolvers();
    }
  }

  async #letThrough(call: WaitingCall): Promise<void> {
    this.#waiting.splice(this.#waiting.indexOf(call), 1);
    const { party, what, go, resolve, reject } = call;
    this.#steps += 1;
    this.#trace.push(`${this.#steps} ${party.name} ${what}`);
    this.#trace.splice(0, this.#trace.length - REMEMBERED);
    const due = this.#atSteps.filter(({ step }) => step <= this.#steps);
    for (const each of due) {
      this.#atSteps.splice(this.#atSteps.indexOf(each), 1);
      each.resolve();
    }
    // What is told of this step acts before its reply comes.
    await Promise.resolve();
    try {
      const reply = await go();
      if (party.isDead) this.#waiting.push({ ...call, go: async () => reply });
      else resolve(reply);
    } catch (error) {
      reject(error);
    }
  }
}

class SteppedClient extends Client {
  readonly #step: (script: Runnable, go: () => Promise<unknown>) => Promise<unknown>;

  constructor(link: Link, step: (script: Runnable, go: () => Promise<unknown>) => Promise<unknown>) {
    super(link);
    this.#step = step;
  }

  override run(script: Runnable, keys: string[], args: (string | number)[]): Promise<unknown> {
    return this.#step(script, () => super.run(script, keys, args));
  }
}
