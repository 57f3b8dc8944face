import { UnavailableError } from "../errors.ts";
import type { LimitStore } from "../store/limit-store.ts";
import type { QuotasApi, RateLimit, RateLimitsApi, Taken } from "./api.ts";
import { checkLimited, checkPerDay, checkRate, checkWhole } from "./check.ts";

const MICROS = 1_000;

/** Rate limits. */
export class RateLimits implements RateLimitsApi {
  readonly #store: LimitStore;

  constructor(store: LimitStore) {
    this.#store = store;
  }

  async take(key: string, limit: RateLimit, cost = 1): Promise<Taken> {
    checkLimited(key);
    const { requests, windowMs } = checkRate(limit);
    checkWhole("cost", cost, 0, requests);
    const each = Math.ceil((windowMs * MICROS) / requests);
    const { allowed, left, fullIn, wait } = await this.#store.takeRate(key, each, requests, cost);
    const [resetMs, retryAfterMs] = [fullIn, wait].map((micros) => Math.ceil(micros / MICROS)) as [number, number];
    return { allowed, limit: requests, remaining: left, resetMs, retryAfterMs };
  }
}

/** Counts of a day. */
export class Quotas implements QuotasApi {
  readonly #store: LimitStore;

  constructor(store: LimitStore) {
    this.#store = store;
  }

  async takeOfDay(key: string, perDay: number, count = 1): Promise<Taken & { day: number }> {
    checkLimited(key);
    checkPerDay("perDay", perDay);
    checkWhole("count", count, 0, perDay);
    const { allowed, taken, day, leftMs } = await this.#store.takeQuota(key, perDay, count);
    const retryAfterMs = allowed ? 0 : leftMs;
    return { allowed, limit: perDay, remaining: Math.max(0, perDay - taken), resetMs: leftMs, retryAfterMs, day };
  }

  async counted<T extends { created: boolean }>(key: string, perDay: number, start: () => Promise<T>) {
    const taken = await this.takeOfDay(key, perDay);
    if (!taken.allowed) return { refused: taken };
    let counts = false;
    try {
      const started = await start();
      counts = started.created;
      return { started };
    } catch (error) {
      // It may have come about; asked for again, it is there already.
      counts = error instanceof UnavailableError;
      throw error;
    } finally {
      if (!counts) await this.giveBack(key, taken).catch(() => {});
    }
  }

  async giveBack(key: string, { day }: { day: number }, count = 1): Promise<void> {
    checkLimited(key);
    checkPerDay("count", count);
    await this.#store.takeQuota(key, 0, -count, day);
  }
}
