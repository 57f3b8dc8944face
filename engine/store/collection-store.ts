import type { NamespaceKeys } from "../keys.ts";
import type { Client } from "../redis/client.ts";
import { pairs } from "../run-record.ts";
import { keep } from "../scripts/keep.ts";
import type { Reply } from "../scripts/script.ts";
import { refuseWrongType } from "./refusals.ts";

/** The records of one collection, as lines `REVISION JSON`. */
export class CollectionStore {
  readonly #client: Client;
  readonly #keys: NamespaceKeys;
  readonly #collection: string;

  constructor(client: Client, keys: NamespaceKeys, collection: string) {
    this.#client = client;
    this.#keys = keys;
    this.#collection = collection;
  }

  async read(tenant: string, id: string): Promise<string | null> {
    return (await this.#client.call("HGET", this.#keys.kept(this.#collection, tenant), id)) as string | null;
  }

  async readAll(tenant: string): Promise<Record<string, string>> {
    return pairs((await this.#client.call("HGETALL", this.#keys.kept(this.#collection, tenant))) as string[]);
  }

  async tenantOf(id: string): Promise<string | null> {
    return (await this.#client.call("HGET", this.#keys.keptTenants(this.#collection), id)) as string | null;
  }

  /** @param revision that was read, 0 for none */
  set(tenant: string, id: string, revision: number, json: string, most: number): Promise<Reply> {
    return this.#keep(tenant, id, "set", revision, json, most);
  }

  delete(tenant: string, id: string): Promise<Reply> {
    return this.#keep(tenant, id, "delete", "", "", 0);
  }

  async #keep(tenant: string, id: string, ...args: [string, number | string, string, number]): Promise<Reply> {
    const keys = [this.#keys.kept(this.#collection, tenant), this.#keys.keptTenants(this.#collection)];
    const reply = (await this.#client.run(keep, keys, [id, tenant, ...args])) as Reply;
    refuseWrongType(reply, "a collection");
    return reply;
  }
}
