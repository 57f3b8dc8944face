import { type Broadcast, parseEntry } from "./broadcast.ts";
import { CONFIG_KEY_PATTERN, type ConfigReader, type FlagOptions, flagOf } from "./config-reader.ts";
import { InvalidInputError, MillraceError } from "./errors.ts";
import { logger } from "./log.ts";
import { encodeInput } from "./payload.ts";
import { CONFIG } from "./store/broadcast-store.ts";

const log = logger("config");

/** A value's JSON has no more characters than this: what is larger belongs into the blob store. */
const VALUE_LIMIT = 32_768;

/** A key of the configuration, with its value. */
export interface ConfigEntry {
  readonly key: string;
  readonly value: unknown;
  /** Counts the changes of the whole configuration: of two entries the later one has the higher. */
  readonly revision: number;
  /** ISO 8601. */
  readonly updatedAt: string;
}

/**
 * The configuration of a namespace: values by key, stored in Redis and told to every process, so that all see a change
 * within a second. What a process missed while it was cut off it reads when it is back. `get`, `flag` and `all` need
 * `ready()` to have resolved once; workers see to that for their handlers.
 */
export interface ConfigApi extends ConfigReader {
  /** Resolves once the configuration was read; from then on it is kept up to date. @throws UnavailableError */
  ready(): Promise<void>;
  /** Reads what is stored now. @throws UnavailableError */
  refresh(): Promise<void>;
  /** Every entry by its key. */
  all(): ReadonlyMap<string, ConfigEntry>;
  /**
   * Stores a value, any JSON of up to 32,768 characters, and tells every process; this one has it when that resolves.
   *
   * @param key 1 to 128 of `A-Z a-z 0-9 . _ : / @ + -`, the first a letter or digit
   * @param options `revision`: only if the key has this one now, `*` for any, `-` for none
   * @throws InvalidInputError; ConflictError `config_full` past 1,000 keys or 4 MB, `config_changed` if it has another revision;
   *   UnavailableError
   */
  set(key: string, value: unknown, options?: { revision?: number | "*" | "-" | undefined }): Promise<ConfigEntry>;
  /** False if there was none. @throws UnavailableError */
  delete(key: string): Promise<boolean>;
  /**
   * Calls `listener` when the value of a key changes, or of any key that begins so: `models.*`, `*`. Not for what is there
   * already. A deleted key's value is undefined.
   *
   * @returns stops it
   */
  on(key: string, listener: (value: unknown, key: string) => unknown): () => void;
}

export class Config implements ConfigApi {
  readonly #broadcast: Broadcast;
  readonly #warned = new WeakSet<ConfigEntry>();

  constructor(broadcast: Broadcast) {
    this.#broadcast = broadcast;
  }

  ready(): Promise<void> {
    return this.#broadcast.ready();
  }

  async refresh(): Promise<void> {
    await this.#broadcast.ready();
    await this.#broadcast.refresh();
  }

  get<T = unknown>(key: string): T | undefined {
    return this.all().get(key)?.value as T | undefined;
  }

  flag(name: string, { default: otherwise = false, unit }: FlagOptions = {}): boolean {
    const entry = this.all().get(name);
    const said = entry && flagOf(name, entry.value, unit);
    if (said !== undefined || entry === undefined) return said ?? otherwise;
    if (!this.#warned.has(entry))
      log.warn("{name} is no flag, or a share and nobody says of whom: {value}", { name, value: entry.value });
    this.#warned.add(entry);
    return otherwise;
  }

  all(): ReadonlyMap<string, ConfigEntry> {
    const { entries } = this.#broadcast;
    if (entries !== undefined) return entries;
    throw new MillraceError("config_not_ready", "The configuration was not read yet: await config.ready() first.");
  }

  async set(key: string, value: unknown, { revision }: Parameters<ConfigApi["set"]>[2] = {}): Promise<ConfigEntry> {
    checkKey(key);
    if (value === undefined) throw invalid("value", "A value is wanted; delete() takes one away.");
    const json = encodeInput(value, "value");
    if (json.length > VALUE_LIMIT) throw invalid("value", `At most ${VALUE_LIMIT} characters of JSON.`);
    await this.#broadcast.ready();
    const stored = await this.#broadcast.send({ topic: CONFIG, subject: key, act: "set", value: json, revision });
    return parseEntry(key, stored!.line!)!;
  }

  async delete(key: string): Promise<boolean> {
    checkKey(key);
    return (await this.#broadcast.send({ topic: CONFIG, subject: key, act: "delete" })) !== undefined;
  }

  on(key: string, listener: (value: unknown, key: string) => unknown): () => void {
    const prefix = key.endsWith("*") ? key.slice(0, -1) : undefined;
    if (prefix !== "") checkKey(prefix ?? key);
    this.#start();
    return this.#broadcast.onKey((changed, entry) => {
      if (prefix === undefined ? changed === key : changed.startsWith(prefix)) return listener(entry?.value, changed);
    });
  }

  /** What the handlers of a run read: their flags' unit is the run. */
  of(run: string): ConfigReader {
    return {
      get: (key) => this.get(key),
      flag: (name, options) => this.flag(name, { ...options, unit: options?.unit ?? run }),
    };
  }

  /** Whoever listens need not have waited for it. */
  #start(): void {
    this.#broadcast.ready().catch((error) => log.info("not read yet, and tried again: {error}", { error }));
  }
}

function checkKey(key: string): void {
  if (!CONFIG_KEY_PATTERN.test(key))
    throw invalid("key", "A key is 1 to 128 of A-Z a-z 0-9 . _ : / @ + - and begins with a letter or digit.");
}

function invalid(path: string, message: string): InvalidInputError {
  return new InvalidInputError(`The ${path} of the configuration does not fit: ${message}`, [
    { path: [path], message },
  ]);
}
