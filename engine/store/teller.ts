import { UnavailableError } from "../errors.ts";
import type { PartitionKeys } from "../keys.ts";
import { logger } from "../log.ts";
import type { Client, ScriptRunner } from "../redis/client.ts";
import { pairs } from "../run-record.ts";
import { Reply, type TellingScript } from "../scripts/script.ts";
import { parseSettings, type SubscriptionSettings } from "../subscriptions/settings.ts";

const log = logger("subscriptions");

/** Subscriptions change now and then, not as often as this while a call is under way. */
const TRIES = 10;

/** The subscriptions of a partition as scripts are given them. */
interface Known {
  keys: string[];
  args: (string | number)[];
}

/**
 * Runs the scripts that append to runs' logs with the subscriptions to tell. Each call carries the version of the list that
 * this process knows; a script that finds another writes nothing, and the list is read again. So nothing has to be pushed to
 * processes, and none that was away misses an event for a subscription.
 */
export class Teller {
  readonly #client: Client;
  readonly #known = new Map<string, Known>();

  constructor(client: Client) {
    this.#client = client;
  }

  /** Runs a script of one partition. @param via what runs it @throws as `Client.run` */
  async run(
    script: TellingScript,
    partition: PartitionKeys,
    keys: readonly string[],
    args: readonly (string | number)[],
    via: ScriptRunner = this.#client,
  ): Promise<unknown> {
    const hash = partition.subscriptions();
    for (let tries = 0; tries < TRIES; tries += 1) {
      const known = this.#known.get(hash) ?? { keys: [hash], args: [0, ""] };
      const reply = await via.run(script.telling, keys.concat(known.keys), args.concat(known.args));
      if (reply !== Reply.StaleList) return reply;
      this.#known.set(hash, await this.#read(partition));
    }
    throw new UnavailableError("The subscriptions change faster than they can be read.");
  }

  async #read(partition: PartitionKeys): Promise<Known> {
    const stored = pairs((await this.#client.call("HGETALL", partition.subscriptions())) as string[]);
    const known: Known = { keys: [], args: [] };
    let count = 0;
    for (const [field, json] of Object.entries(stored)) {
      if (!field.startsWith("of:")) continue;
      const group = field.slice("of:".length);
      const paused = stored[`paused:${group}`];
      if (paused !== undefined) {
        log.warn("subscription {group} is paused and takes no events: {paused}", { group, paused });
        continue;
      }
      count += 1;
      known.keys.push(partition.subscription(group));
      known.args.push(...toldOf(parseSettings(group, json)));
    }
    known.keys.push(partition.subscriptions());
    known.args.push(count, stored.version ?? "");
    return known;
  }
}

function toldOf({ group, events, workflows, steps, tenant, maxBytes }: SubscriptionSettings): (string | number)[] {
  const words = (list: readonly string[] | undefined) => (list === undefined ? "" : ` ${list.join(" ")} `);
  return [group, words(events), words(workflows), words(steps), tenant ?? "", maxBytes];
}
