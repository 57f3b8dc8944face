import { hexDigest } from "./digest.ts";
import type { MemoryWatch } from "./memory-watch.ts";
import type { Begun, RequestStore } from "./store/request-store.ts";
import { ONCE_MS, type Store } from "./store.ts";

/** A request of a client with an idempotency key. */
export interface KeyedRequest {
  tenant: string;
  /** What the key holds within: an operation, and whose key it is. */
  scope: string;
  key: string;
  /** Of all that two requests with one key must agree on. */
  digest: string;
}

/**
 * What makes requests safe to repeat for 24 hours, for what is built on the engine and makes more than runs. Of the key only a
 * digest is stored. What is stored else is the caller's to seal.
 */
export interface RequestsApi {
  /**
   * Takes a request for `leaseMs`, so that no other process carries it out meanwhile. Whoever does so after that is given the
   * first one's `id` and `seed`, with which it makes the same thing.
   *
   * @param token of this attempt
   * @returns `mine`, with whether nobody has begun it before; `busy`, and for how long; `answered`, and what
   * @throws ConflictError `idempotency_mismatch` if something else was sent with the key; OverloadedError; UnavailableError
   */
  begin(request: KeyedRequest, attempt: { token: string; id: string; seed: string; leaseMs: number }): Promise<Begun>;
  /** Stores a reply, and where what was made is. The reply of before, if there is one. @throws UnavailableError */
  answer(request: KeyedRequest, reply: string, location: string): Promise<string>;
  /**
   * Lets others carry out at once what could not be answered.
   *
   * @param madeNothing then, if nobody had begun it before, something else may be sent with the key
   * @throws UnavailableError
   */
  leave(request: KeyedRequest, token: string, madeNothing: boolean): Promise<void>;
  /**
   * The id that a key stands for: `id`, if it is new or stood for `instead` so far.
   *
   * @throws ConflictError `idempotency_mismatch`; UnavailableError
   */
  reserve(request: KeyedRequest, id: string, instead?: string): Promise<string>;
}

export class Requests implements RequestsApi {
  readonly #requests: RequestStore;
  readonly #store: Store;
  readonly #memory: MemoryWatch;

  constructor(requests: RequestStore, store: Store, memory: MemoryWatch) {
    this.#requests = requests;
    this.#store = store;
    this.#memory = memory;
  }

  async begin(request: KeyedRequest, attempt: { token: string; id: string; seed: string; leaseMs: number }) {
    const which = await named(request);
    const { digest } = request;
    const { leaseMs, ...sent } = attempt;
    return this.#memory.guard(
      this.#requests.partition(which),
      () => this.#requests.isKnown(which),
      () => this.#requests.begin(which, { digest, ...sent }, { leaseMs, keptMs: ONCE_MS }),
    );
  }

  async answer(request: KeyedRequest, reply: string, location: string): Promise<string> {
    const kept = await this.#requests.answer(await named(request), { digest: request.digest, reply, location });
    return kept ?? reply;
  }

  async leave(request: KeyedRequest, token: string, madeNothing: boolean): Promise<void> {
    await this.#requests.leave(await named(request), token, madeNothing);
  }

  async reserve(request: KeyedRequest, id: string, instead?: string): Promise<string> {
    const { tenant, hash } = await named(request);
    return this.#store.reserve(tenant, hash, request.digest, id, instead);
  }
}

async function named({ tenant, scope, key }: KeyedRequest): Promise<{ tenant: string; hash: string }> {
  return { tenant, hash: await hexDigest("SHA-256", `${scope}\n${key}`) };
}
