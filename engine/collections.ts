import { ConflictError, InvalidInputError, MillraceError } from "./errors.ts";
import { ID_PATTERN, NAME_PATTERN } from "./ids.ts";
import { encodeInput } from "./payload.ts";
import type { CollectionStore } from "./store/collection-store.ts";
import { Reply } from "./store.ts";

const DEFAULT_TENANT = "default";
/** A record's JSON has no more characters than this. */
const RECORD_LIMIT = 16_384;
/** How often a record is read again that others change meanwhile. */
const WRITES = 10;

/** A record of a collection. */
export interface Kept {
  readonly id: string;
  /** 1, 2, 3 …: counts its changes. */
  readonly revision: number;
  /** As JSON holds it. */
  readonly value: unknown;
}

/**
 * Small records of tenants by id, for what is built on the engine and has to be found by every process: read from Redis each
 * time, so that whoever reads after a write has resolved sees it.
 */
export interface Collection {
  /** @throws UnavailableError, as all of these do */
  get(id: string, options?: { tenant?: string }): Promise<Kept | undefined>;
  /** All of a tenant's, by id. */
  list(options?: { tenant?: string }): Promise<Kept[]>;
  /** Whose a record is. An id is of one tenant at the most. */
  tenantOf(id: string): Promise<string | undefined>;
  /**
   * Stores a new record, any JSON of up to 16,384 characters.
   *
   * @param options `most`: how many the tenant may have
   * @throws InvalidInputError; ConflictError `collection_full`, or `id_taken` by whichever tenant
   */
  create(id: string, value: unknown, options: { tenant?: string; most: number }): Promise<Kept>;
  /**
   * Stores what `change` makes of a record; it may be called again, with what others have made of it meanwhile.
   *
   * @returns undefined if there is no such record
   * @throws InvalidInputError; ConflictError `collection_busy`; what `change` throws
   */
  update(id: string, change: (value: unknown) => unknown, options?: { tenant?: string }): Promise<Kept | undefined>;
  /** False if there was none. */
  delete(id: string, options?: { tenant?: string }): Promise<boolean>;
}

export class StoredCollection implements Collection {
  readonly #store: CollectionStore;

  constructor(store: CollectionStore) {
    this.#store = store;
  }

  async get(id: string, { tenant = DEFAULT_TENANT } = {}): Promise<Kept | undefined> {
    return parse(id, await this.#store.read(tenant, id));
  }

  async list({ tenant = DEFAULT_TENANT } = {}): Promise<Kept[]> {
    const lines = Object.entries(await this.#store.readAll(tenant));
    const records = lines.map(([id, line]) => parse(id, line)).filter((record) => record !== undefined);
    return records.sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  async tenantOf(id: string): Promise<string | undefined> {
    return (await this.#store.tenantOf(id)) ?? undefined;
  }

  async create(
    id: string,
    value: unknown,
    { tenant = DEFAULT_TENANT, most }: { tenant?: string; most: number },
  ): Promise<Kept> {
    for (const [name, text] of Object.entries({ id, tenant }))
      if (!ID_PATTERN.test(text)) throw invalid(name, "Expected 1 to 64 of A-Z a-z 0-9 _ -");
    const json = encode(value);
    const reply = await this.#store.set(tenant, id, 0, json, most);
    if (reply === Reply.Full)
      throw new ConflictError("collection_full", `There may be ${most} of them, and there are.`);
    if (reply === Reply.Stale) throw new ConflictError("id_taken", `There is one of the id ${id} already.`);
    return { id, revision: 1, value: JSON.parse(json) };
  }

  async update(
    id: string,
    change: (value: unknown) => unknown,
    { tenant = DEFAULT_TENANT } = {},
  ): Promise<Kept | undefined> {
    for (let i = 0; i < WRITES; i += 1) {
      const was = await this.get(id, { tenant });
      if (was === undefined) return undefined;
      const json = encode(change(was.value));
      const reply = await this.#store.set(tenant, id, was.revision, json, 0);
      if (reply === Reply.Done) return { id, revision: was.revision + 1, value: JSON.parse(json) };
    }
    throw new ConflictError("collection_busy", `The record ${id} is being changed by others all the time.`);
  }

  async delete(id: string, { tenant = DEFAULT_TENANT } = {}): Promise<boolean> {
    return (await this.#store.delete(tenant, id)) === Reply.Done;
  }
}

/** @throws MillraceError `bad_option` */
export function checkCollection(name: string): string {
  if (NAME_PATTERN.test(name)) return name;
  throw new MillraceError("bad_option", "The name of a collection is 1 to 48 of A-Z a-z 0-9 _ -");
}

function encode(value: unknown): string {
  const json = encodeInput(value, "record");
  if (json.length > RECORD_LIMIT) throw invalid("record", `At most ${RECORD_LIMIT} characters of JSON`);
  return json;
}

function parse(id: string, line: string | null): Kept | undefined {
  if (line === null) return undefined;
  const space = line.indexOf(" ");
  return { id, revision: Number(line.slice(0, space)), value: JSON.parse(line.slice(space + 1)) };
}

function invalid(path: string, message: string): InvalidInputError {
  return new InvalidInputError(`${path}: ${message}`, [{ path: [path], message }]);
}
