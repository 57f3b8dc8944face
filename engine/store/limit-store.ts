import type { Partitions } from "../partitions.ts";
import type { Client, Runnable } from "../redis/client.ts";
import { Reply } from "../scripts/script.ts";
import { takeQuota } from "../scripts/take-quota.ts";
import { takeRate } from "../scripts/take-rate.ts";
import { refuseWrongType } from "./refusals.ts";

/** Each call forgets up to so many keys that have all of their limit again: more than one call can add. */
const FORGOTTEN_AT_ONCE = 10;

/** What was taken of limits, each in the partition of the key whose it is. */
export class LimitStore {
  readonly #client: Client;
  readonly #partitions: Partitions;

  constructor(client: Client, partitions: Partitions) {
    this.#client = client;
    this.#partitions = partitions;
  }

  /**
   * Takes of a rate limit. Times in µs.
   *
   * @param each how long one takes to come back
   * @param most how many there are
   */
  async takeRate(
    key: string,
    each: number,
    most: number,
    cost: number,
  ): Promise<{ allowed: boolean; left: number; fullIn: number; wait: number }> {
    const reply = await this.#run(takeRate, this.#partitions.keyed(key).rates(), [
      key,
      each,
      most,
      cost,
      FORGOTTEN_AT_ONCE,
    ]);
    const [code, left, fullIn, wait] = reply as [Reply, number, number, number];
    return { allowed: code === Reply.Done, left, fullIn, wait };
  }

  /** Takes of what a key may have in a day; below 0 gives back to `day`. `leftMs`: of the day. */
  async takeQuota(
    key: string,
    most: number,
    count: number,
    day: number | "" = "",
  ): Promise<{ allowed: boolean; taken: number; day: number; leftMs: number }> {
    const reply = await this.#run(takeQuota, this.#partitions.keyed(key).quotas(), [key, most, count, day]);
    const [code, taken, today, leftMs] = reply as [Reply, number, number, number];
    return { allowed: code === Reply.Done, taken, day: today, leftMs };
  }

  async #run(script: Runnable, key: string, args: (string | number)[]): Promise<unknown> {
    const reply = (await this.#client.run(script, [key], args)) as [Reply];
    refuseWrongType(reply[0], "limits");
    return reply;
  }
}
