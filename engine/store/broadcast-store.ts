import { ConflictError } from "../errors.ts";
import type { NamespaceKeys } from "../keys.ts";
import type { Client } from "../redis/client.ts";
import { pairs } from "../run-record.ts";
import { broadcast } from "../scripts/broadcast.ts";
import { readBroadcast } from "../scripts/read-broadcast.ts";
import { Reply } from "../scripts/script.ts";
import { refuseWrongType } from "./refusals.ts";

/** The topic whose subjects are the keys of the configuration. */
export const CONFIG = "config";
/** The generation of a topic that never had one. */
export const NEVER = "-";

/** Every process keeps a copy of the configuration, and reads it again whole when it may have missed something. */
const MOST_TOPICS = 100;
const MOST_KEYS = 1_000;
const MOST_BYTES = 4_194_304;

export interface Change {
  topic: string;
  /** The key, or whose cached results; empty for all of the topic. */
  subject: string;
  act: "set" | "delete" | "drop";
  /** JSON, for `set`. */
  value?: string;
  /** For `set`: which revision the key must have now; `*` any, `-` none. */
  revision?: number | "*" | "-" | undefined;
}

/** A change that was made, as it is told to every process. */
export interface Nudge {
  topic: string;
  before: string;
  now: string;
  /** `read`: it is too large to be told. */
  act: Change["act"] | "read";
  subject: string;
  /** `GENERATION JSON`, for `set`. */
  line?: string;
}

/** What is stored for every process: the configuration, and which generation each topic's cached results are of. */
export class BroadcastStore {
  readonly #client: Client;
  readonly #keys: NamespaceKeys;

  constructor(client: Client, keys: NamespaceKeys) {
    this.#client = client;
    this.#keys = keys;
  }

  get channel(): string {
    return this.#keys.broadcast();
  }

  /** Stores a change and tells it. Undefined if there was nothing to delete. @throws ConflictError `config_full`, `config_changed` */
  async send(change: Change): Promise<Nudge | undefined> {
    const { topic, subject, act, value = "", revision = "" } = change;
    const args = [this.channel, topic, subject, act, value, MOST_TOPICS, MOST_KEYS, MOST_BYTES, revision];
    const [code, before, now] = (await this.#client.run(broadcast, this.#hashes, args)) as [Reply, string, string];
    refuseWrongType(code, "the configuration");
    if (code === Reply.Full) throw full(before);
    if (code === Reply.Already) return undefined;
    if (code === Reply.Stale)
      throw new ConflictError("config_changed", `The key ${subject} has another revision by now.`);
    return { topic, before, now, act, subject, ...(act === "set" ? { line: `${now} ${value}` } : {}) };
  }

  /**
   * The generation of every topic; and the lines of the configuration by key, unless its generation is the known one.
   *
   * @param known undefined to have it in any case
   */
  async read(known?: string): Promise<{ generations: Map<string, string>; config?: Record<string, string> }> {
    const reply = await this.#client.run(readBroadcast, this.#hashes, [known ?? ""]);
    const [code, generations, config] = reply as [Reply, string[], string[]?];
    refuseWrongType(code, "the configuration");
    const read = { generations: new Map(Object.entries(pairs(generations))) };
    return config === undefined ? read : { ...read, config: pairs(config) };
  }

  get #hashes(): string[] {
    return [this.#keys.generations(), this.#keys.config()];
  }
}

/** A message of the channel; undefined if it is none of ours. */
export function parseNudge(message: string): Nudge | undefined {
  const [head, subject, line] = message.split("\n", 3);
  const match = /^(\S+) (\S+) (\S+) (set|delete|drop|read)$/.exec(head!);
  if (match === null || subject === undefined) return undefined;
  const [, topic, before, now, act] = match as unknown as [string, string, string, string, Nudge["act"]];
  return { topic, before, now, act, subject, ...(line === undefined ? {} : { line }) };
}

function full(what: string): ConflictError {
  if (what === "topics") return new ConflictError("config_full", `There are ${MOST_TOPICS} topics, which is the most.`);
  const most = what === "keys" ? `${MOST_KEYS} keys` : `${MOST_BYTES} bytes`;
  return new ConflictError("config_full", `The configuration has ${most} at the most. Delete something first.`);
}
