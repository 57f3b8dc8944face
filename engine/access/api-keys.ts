import type { Draw } from "../draw.ts";
import { NotFoundError, UnavailableError } from "../errors.ts";
import { newId } from "../ids.ts";
import { pageOf } from "../listing.ts";
import { logger } from "../log.ts";
import type { Records } from "../records.ts";
import type { Subscriber } from "../redis/subscriber.ts";
import { DEFAULT_TENANT } from "../runs.ts";
import type { ApiKeyStore } from "../store/api-key-store.ts";
import type { Page, PageOptions } from "../views.ts";
import type { CreateKeyOptions, KeyEnd, KeysApi, KeyView, KeyWithSecret, VerifiedKey } from "./api.ts";
import { checkKey, checkTenant, checkTime, checkWhole, invalid } from "./check.ts";
import { KeyCache } from "./key-cache.ts";
import { type KeyRecord, keyView, verifiedKey, whyEnded } from "./key-record.ts";
import { KeyWatch } from "./key-watch.ts";
import { digestOf, idOfKeySecret, newKeySecret, sameDigest } from "./secrets.ts";

const log = logger("access");

const DAY_MS = 86_400_000;
const MOST_OVERLAP_MS = 30 * DAY_MS;
/** A key's use is noted no more often. */
const TOUCH_EVERY_MS = 60_000;

/** API keys: what is stored of them, and what this process knows of that. */
export class ApiKeys implements KeysApi {
  readonly #store: ApiKeyStore;
  readonly #records: Records;
  readonly #subscriber: () => Subscriber;
  readonly #cache: KeyCache;
  readonly #watch: KeyWatch;
  #leave: (() => void) | undefined;
  #closed = false;

  constructor(store: ApiKeyStore, records: Records, subscriber: () => Subscriber) {
    this.#store = store;
    this.#records = records;
    this.#subscriber = subscriber;
    this.#cache = new KeyCache(async (id) => {
      const { nowMs, keys } = await store.read([id]);
      return { nowMs, record: keys[0] };
    });
    this.#watch = new KeyWatch((ids) => store.read(ids));
  }

  async create(options: CreateKeyOptions, draw?: Draw): Promise<KeyWithSecret> {
    const checked = checkKey(options, DEFAULT_TENANT);
    if (checked.expiresAt !== undefined) await this.#checkAhead(checked.expiresAt);
    const id = draw?.id ?? newId();
    const secret = newKeySecret(id, draw?.random);
    const digest = await digestOf(secret);
    const createdAt = await this.#store.create(id, digest, checked);
    const none = { previous: undefined, rotatedAt: undefined, revokedAt: undefined, lastUsedAt: undefined };
    return { ...keyView(id, { ...none, ...checked, digest, secretNumber: 1, createdAt }, createdAt), secret };
  }

  async get(id: string, options: { tenant?: string } = {}): Promise<KeyView> {
    const { record, nowMs } = await this.#find(id, options.tenant);
    return keyView(id, record, nowMs);
  }

  async list(options: { tenant?: string } & PageOptions = {}): Promise<Page<KeyView>> {
    const { tenant } = options;
    if (tenant !== undefined) checkTenant(tenant);
    return pageOf(this.#records, [this.#store.index(tenant)], options, async (ids) => {
      const { nowMs, keys } = await this.#store.read(ids);
      return keys.map((record, i) => (record === undefined ? undefined : keyView(ids[i]!, record, nowMs)));
    });
  }

  async rotate(
    id: string,
    options: { tenant?: string; overlapMs?: number; expiresAt?: Date } = {},
    draw?: Draw,
  ): Promise<KeyWithSecret> {
    const overlapMs = checkWhole("overlapMs", options.overlapMs ?? DAY_MS, 0, MOST_OVERLAP_MS);
    const expiresAt = options.expiresAt === undefined ? undefined : checkTime("expiresAt", options.expiresAt);
    if (expiresAt !== undefined) await this.#checkAhead(expiresAt);
    const { tenant } = (await this.#find(id, options.tenant)).record;
    const secret = newKeySecret(id, draw?.random);
    const digest = await digestOf(secret);
    const record = await this.#store.rotate({ id, tenant }, { digest, overlapMs, expiresAt });
    this.#cache.drop(id);
    return { ...keyView(id, record, record.rotatedAt!), secret };
  }

  async revoke(id: string, options: { tenant?: string } = {}): Promise<KeyView> {
    const { tenant } = (await this.#find(id, options.tenant)).record;
    const record = await this.#store.revoke({ id, tenant });
    this.#cache.drop(id);
    return keyView(id, record, record.revokedAt!);
  }

  async verify(secret: string): Promise<VerifiedKey | undefined> {
    const id = idOfKeySecret(secret);
    if (id === undefined) return undefined;
    this.#listen();
    const digest = await digestOf(secret);
    let known = await this.#cache.get(id);
    if (known !== undefined && numberOf(known.record, digest) === undefined) {
      // The secret may be newer than what was read, and the word of that still under way.
      this.#cache.drop(id);
      known = await this.#cache.get(id);
    }
    if (known === undefined) return undefined;
    const { record, nowMs } = known;
    const secretNumber = numberOf(record, digest);
    if (secretNumber === undefined || whyEnded(record, secretNumber, nowMs) !== undefined) return undefined;
    this.#touch(id, record, nowMs);
    return verifiedKey(id, record, secretNumber);
  }

  onEnd(key: Pick<VerifiedKey, "id" | "secretNumber">, listener: (why: KeyEnd) => void): () => void {
    this.#listen();
    return this.#watch.add(key, listener);
  }

  /** Whether that secret of a key works still. @throws UnavailableError */
  async works({ id, secretNumber }: Pick<VerifiedKey, "id" | "secretNumber">): Promise<boolean> {
    this.#listen();
    const known = await this.#cache.get(id);
    return known !== undefined && whyEnded(known.record, secretNumber, known.nowMs) === undefined;
  }

  async stop(): Promise<void> {
    this.#closed = true;
    this.#leave?.();
    this.#cache.clear();
    await this.#watch.stop();
  }

  async #find(id: string, tenant: string | undefined): Promise<{ record: KeyRecord; nowMs: number }> {
    const { nowMs, keys } = await this.#store.read([id]);
    const [record] = keys;
    if (record === undefined || (tenant !== undefined && record.tenant !== tenant)) throw new NotFoundError("key", id);
    return { record, nowMs };
  }

  async #checkAhead(expiresAt: number): Promise<void> {
    if (expiresAt <= (await this.#store.nowMs())) throw invalid("expiresAt", "Expected a time to come");
  }

  /** Of what is not heard here, what was read grows old by itself. */
  #listen(): void {
    if (this.#closed) throw new UnavailableError("This connection is closed.");
    if (this.#leave !== undefined) return;
    const { heard, leave } = this.#subscriber().listen(this.#store.channel, {
      message: (text) => {
        const id = /^key ([0-9a-f]{32})$/.exec(text)?.[1];
        if (id === undefined) return;
        this.#cache.drop(id);
        this.#watch.heard(id);
      },
      missed: () => {
        this.#cache.clear();
        this.#watch.heard();
      },
    });
    this.#leave = leave;
    heard.catch((error) => log.debug("the channel is not heard yet: {error}", { error }));
  }

  /** Nobody waits for it, and it fails nothing. */
  #touch(id: string, record: KeyRecord, nowMs: number): void {
    if (record.lastUsedAt !== undefined && nowMs - record.lastUsedAt < TOUCH_EVERY_MS) return;
    record.lastUsedAt = nowMs;
    this.#store.touch(id).catch((error) => log.debug("that key {id} was used is not noted: {error}", { id, error }));
  }
}

/** Which of a key's secrets has this digest. Both are compared, whichever it is. */
function numberOf({ digest, previous, secretNumber }: KeyRecord, given: string): number | undefined {
  const isCurrent = digest !== undefined && sameDigest(digest, given);
  const isPrevious = previous !== undefined && sameDigest(previous.digest, given);
  if (isCurrent) return secretNumber;
  return isPrevious ? secretNumber - 1 : undefined;
}
