import type { CheckedKey } from "../access/check.ts";
import { decodeKey, encodeKey, type KeyRecord } from "../access/key-record.ts";
import { ConflictError, NotFoundError } from "../errors.ts";
import type { PartitionKeys } from "../keys.ts";
import type { Call, Client, Runnable } from "../redis/client.ts";
import { pairs } from "../run-record.ts";
import { createKey } from "../scripts/create-key.ts";
import { revokeKey } from "../scripts/revoke-key.ts";
import { rotateKey } from "../scripts/rotate-key.ts";
import { Reply } from "../scripts/script.ts";
import { touchKey } from "../scripts/touch-key.ts";
import { encodeTimerRow } from "../timer-rows.ts";
import { refuseWrongType } from "./refusals.ts";

/** Whoever lists a tenant's keys looks at all of them in the end. */
const MOST_KEYS = 1_000;
/** So long a key that has ended is shown. */
const KEPT_MS = 30 * 86_400_000;
/** That it was used is noted no more often. */
const TOUCH_EVERY_MS = 60_000;

/** Which key, and whose it is. */
interface WhichKey {
  id: string;
  tenant: string;
}

/** What is stored of API keys, all in one partition. */
export class ApiKeyStore {
  readonly #client: Client;
  readonly #keys: PartitionKeys;

  /** @param keys of partition 0 */
  constructor(client: Client, keys: PartitionKeys) {
    this.#client = client;
    this.#keys = keys;
  }

  /** On which every process hears `key ID` of a key that has another secret, or none any more. */
  get channel(): string {
    return this.#keys.access();
  }

  /** The index of all keys, or of a tenant's. */
  index(tenant: string | undefined): string {
    return tenant === undefined ? this.#keys.apiKeys() : this.#keys.apiKeysOf(tenant);
  }

  /** Stores a new key, and gives the time when it was made. @throws ConflictError `too_many_keys`, `id_taken` */
  async create(id: string, digest: string, key: CheckedKey): Promise<number> {
    const { tenant, expiresAt } = key;
    const touched = [this.#keys.apiKey(id), this.index(undefined), this.index(tenant), this.#keys.timers()];
    const due = expiresAt === undefined ? "" : expiresAt + KEPT_MS;
    const fields = Object.entries(encodeKey(key)).flat();
    const args = [id, digest, MOST_KEYS, removal(tenant, id), due, ...fields];
    const [code, createdAt] = (await this.#run(createKey, touched, args)) as [Reply, number];
    if (code === Reply.Full)
      throw new ConflictError(
        "too_many_keys",
        `Tenant ${tenant} has ${MOST_KEYS} keys, those that ended in the last 30 days included, which is the most.`,
      );
    if (code === Reply.Stale) throw new ConflictError("id_taken", `There is a key ${id} already.`);
    return createdAt;
  }

  /** @throws NotFoundError; ConflictError `key_ended` */
  async rotate(
    { id, tenant }: WhichKey,
    change: { digest: string; overlapMs: number; expiresAt: number | undefined },
  ): Promise<KeyRecord> {
    const { digest, overlapMs, expiresAt = "" } = change;
    const args = [id, tenant, digest, overlapMs, expiresAt, removal(tenant, id), KEPT_MS, this.channel];
    const reply = await this.#run(rotateKey, [this.#keys.apiKey(id), this.#keys.timers()], args);
    return keyOf(id, reply as [Reply, string[]?]);
  }

  /** @throws NotFoundError */
  async revoke({ id, tenant }: WhichKey): Promise<KeyRecord> {
    const args = [id, tenant, removal(tenant, id), KEPT_MS, this.channel];
    const reply = await this.#run(revokeKey, [this.#keys.apiKey(id), this.#keys.timers()], args);
    return keyOf(id, reply as [Reply, string[]?]);
  }

  /** Notes that a key was used just now. */
  async touch(id: string): Promise<void> {
    await this.#run(touchKey, [this.#keys.apiKey(id)], [TOUCH_EVERY_MS]);
  }

  /** The keys of these ids, in order, and the time in ms; undefined for those that are gone. */
  async read(ids: readonly string[]): Promise<{ nowMs: number; keys: (KeyRecord | undefined)[] }> {
    const calls = ids.map((id): Call => ["HGETALL", this.#keys.apiKey(id)]);
    const { nowMs, replies } = await this.#client.timed(calls);
    return { nowMs, keys: replies.map((flat) => decodeKey(pairs(flat as string[]))) };
  }

  async nowMs(): Promise<number> {
    return (await this.#client.timed([])).nowMs;
  }

  async #run(script: Runnable, keys: string[], args: (string | number)[]): Promise<unknown> {
    const reply = await this.#client.run(script, keys, args);
    refuseWrongType(Array.isArray(reply) ? reply[0] : reply, "API keys");
    return reply;
  }
}

function removal(tenant: string, id: string): string {
  return encodeTimerRow({ kind: "key", tenant, id });
}

function keyOf(id: string, [code, flat]: [Reply, string[]?]): KeyRecord {
  if (code === Reply.Stale)
    throw new ConflictError("key_ended", `Key ${id} was revoked or has expired: make another one.`);
  const record = flat === undefined ? undefined : decodeKey(pairs(flat));
  if (record === undefined) throw new NotFoundError("key", id);
  return record;
}
