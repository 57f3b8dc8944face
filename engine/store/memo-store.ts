import { type Entry, isUndo } from "../entry.ts";
import type { PartitionKeys } from "../keys.ts";
import type { Client } from "../redis/client.ts";
import { remember } from "../scripts/remember.ts";
import type { Reply } from "../scripts/script.ts";

/** How many results a step, or an item of it, may have remembered. */
export const MEMOS_LIMIT = 1_000;

/** The results that later attempts are given again, in a hash of each run. */
export class MemoStore {
  readonly #client: Client;
  readonly #keysOf: (run: string) => PartitionKeys;
  readonly #consumer: string;

  constructor(client: Client, keysOf: (run: string) => PartitionKeys, consumer: string) {
    this.#client = client;
    this.#keysOf = keysOf;
    this.#consumer = consumer;
  }

  /** What was remembered under a name, as Redis holds values; null if nothing was. */
  async recall(entry: Entry, name: string): Promise<string | null> {
    const key = this.#keysOf(entry.run).memos(entry.run);
    return (await this.#client.call("HGET", key, `${scope(entry)}|${name}`)) as string | null;
  }

  /** Remembers a value for the attempts to come. `known` is what was remembered before, and stays. */
  async remember(entry: Entry, name: string, stored: string): Promise<{ reply: Reply; known?: string }> {
    const { id, count, run, item, stream } = entry;
    const keys = this.#keysOf(run);
    const step = stream.step.name;
    const record = `${isUndo(entry) ? "undo" : "step"}:${step}`;
    const live = item === undefined ? keys.run(run) : keys.items(run, step);
    const [reply, known] = (await this.#client.run(
      remember,
      [keys.run(run), stream.key, live, keys.memos(run)],
      [this.#consumer, id, count, record, item ?? "", `${scope(entry)}|${name}`, scope(entry), MEMOS_LIMIT, stored],
    )) as [Reply, string?];
    return known === undefined ? { reply } : { reply, known };
  }
}

/** No name of a step has a bar in it, so whatever follows the second one is the name. */
function scope(entry: Entry): string {
  const { stream, item } = entry;
  return `${stream.step.name}|${isUndo(entry) ? "undo" : (item ?? "")}`;
}
