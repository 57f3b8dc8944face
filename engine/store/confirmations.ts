import type { WantedDurability } from "../durability.ts";
import { UnconfirmedError } from "../errors.ts";
import type { Client, ScriptRunner } from "../redis/client.ts";
import { WaitingRunner, type Waits } from "../redis/waits.ts";
import { confirm } from "../scripts/confirm.ts";
import { Reply } from "../scripts/script.ts";
import type { Store } from "../store.ts";
import type { Durability } from "../views.ts";

/** A script that was forgotten, or a slot that has moved, costs a turn. */
const TRIES = 3;

/** One start, on its way to be confirmed. */
export interface Confirming {
  /** Runs the script that admits. */
  readonly via: ScriptRunner;
  /**
   * @param run which one it has come to
   * @param stored whether the last script that went this way stored it; an earlier run is confirmed anew
   * @returns the level that was reached
   * @throws UnconfirmedError if it is not the one that was asked for
   */
  settle(run: string, stored: boolean): Promise<Durability>;
}

/** Says of runs that were started how well they are stored. */
export class Confirmations {
  readonly #client: Client;
  readonly #store: Store;
  /** What the server gives without waiting. */
  readonly #given: Durability;
  readonly #waiting: { wanted: WantedDurability; waits: Waits } | undefined;

  constructor(
    client: Client,
    store: Store,
    given: Durability,
    waiting: { wanted: WantedDurability; waits: Waits } | undefined,
  ) {
    this.#client = client;
    this.#store = store;
    this.#given = given;
    this.#waiting = waiting;
  }

  /** @param told whether somebody is told that the run is stored: nobody waits for nobody */
  begin(told = true): Confirming {
    const waiting = told ? this.#waiting : undefined;
    if (waiting === undefined) return { via: this.#client, settle: async () => this.#given };
    const via = new WaitingRunner(waiting.waits);
    return { via, settle: (run, stored) => this.#settle(via, waiting.wanted, run, stored) };
  }

  async #settle(via: WaitingRunner, wanted: WantedDurability, run: string, stored: boolean): Promise<Durability> {
    let waited = stored ? via.waited : undefined;
    for (let tries = 0; waited === undefined && tries < TRIES; tries += 1) {
      const reply = await via.run(confirm, [this.#store.partitionKeys(run).run(run)], []);
      if (reply !== Reply.Done) throw new UnconfirmedError(run, `Run ${run} was stored, and is not there any more.`);
      waited = via.waited;
    }
    const missing = wanted.missing(waited);
    if (missing === undefined) return wanted.level;
    throw new UnconfirmedError(run, `Run ${run} is stored and goes on, but ${missing}.`, { cause: waited });
  }
}
