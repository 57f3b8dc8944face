import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { LimitStore } from "../../../engine/store/limit-store.ts";
import { StoreBench } from "../../support/store.ts";

let bench: StoreBench;
let limits: LimitStore;
beforeEach(() => {
  bench = new StoreBench();
  limits = new LimitStore(bench.client, bench.store.partitions);
});
afterEach(() => bench.close());

const HOUR = 3_600_000_000;

describe("take-rate", () => {
  /** Of ten an hour each, so that none comes back meanwhile. */
  const take = (key: string, cost = 1, most = 10, each = HOUR) => limits.takeRate(key, each, most, cost);
  const rates = async () => {
    const flat = await bench.redis.zrange(bench.keys.rates(), "0", "-1");
    return flat;
  };

  test("as many as there are, and not one more", async () => {
    for (let left = 9; left >= 0; left -= 1) {
      const taken = await take("a");
      expect(taken).toMatchObject({ allowed: true, left, wait: 0 });
      expect(Math.abs(taken.fullIn - (10 - left) * HOUR)).toBeLessThan(60_000_000);
    }
    const refused = await take("a");
    expect(refused).toMatchObject({ allowed: false, left: 0 });
    expect(Math.abs(refused.wait - HOUR)).toBeLessThan(60_000_000);
    expect(await rates()).toEqual(["a"]);
    expect(await take("b")).toMatchObject({ allowed: true, left: 9 });
  });

  test("several at once, all or none; what is left can be taken", async () => {
    expect(await take("a", 7)).toMatchObject({ allowed: true, left: 3 });
    const refused = await take("a", 5);
    expect(refused).toMatchObject({ allowed: false, left: 3 });
    expect(Math.abs(refused.wait - 2 * HOUR)).toBeLessThan(60_000_000);
    expect(await take("a", 3)).toMatchObject({ allowed: true, left: 0 });
  });

  test("to look takes nothing", async () => {
    expect(await take("a", 0)).toEqual({ allowed: true, left: 10, fullIn: 0, wait: 0 });
    expect(await rates()).toEqual([]);
    await take("a", 10);
    expect(await take("a", 0)).toMatchObject({ allowed: true, left: 0, wait: 0 });
  });

  test("they come back one after the other", async () => {
    await take("a", 10);
    const full = Number(await bench.redis.zscore(bench.keys.rates(), "a"));
    // As if three and a half hours had passed.
    await bench.redis.zadd(bench.keys.rates(), full - 3.5 * HOUR, "a");
    expect(await take("a", 3)).toMatchObject({ allowed: true, left: 0 });
    const refused = await take("a");
    expect(Math.abs(refused.wait - HOUR / 2)).toBeLessThan(60_000_000);
  });

  test("a limit that is made smaller is used up, and no more than that", async () => {
    await take("a", 10);
    expect(await take("a", 1, 2)).toMatchObject({ allowed: false, left: 0 });
    const { wait, fullIn } = await take("a", 1, 2);
    expect(Math.abs(wait - HOUR)).toBeLessThan(60_000_000);
    expect(Math.abs(fullIn - 2 * HOUR)).toBeLessThan(60_000_000);
    expect(await take("a", 1, 20)).toMatchObject({ allowed: true, left: 9 });
  });

  test("many in a millisecond are told apart", async () => {
    for (let i = 1; i <= 100; i += 1) {
      const { left } = await take("a", 1, 1_000_000, 1_000);
      expect(left).toBeGreaterThanOrEqual(1_000_000 - i);
    }
    const full = await bench.redis.zscore(bench.keys.rates(), "a");
    expect(full).toMatch(/^\d{16}$/);
  });

  test("keys that have all of their limit again are forgotten, ten with each call", async () => {
    await bench.redis.zadd(bench.keys.rates(), ...Array.from({ length: 25 }, (_, i) => [i + 1, `k${i}`]).flat());
    const left: number[] = [];
    for (let i = 0; i < 3; i += 1) {
      await take("a");
      left.push((await rates()).length);
    }
    expect(left).toEqual([16, 6, 1]);
  });

  test("a key of the wrong type refuses it", async () => {
    await bench.redis.set(bench.keys.rates(), "not ours");
    await expect(take("a")).rejects.toMatchObject({ code: "wrong_type" });
    expect(await bench.redis.get(bench.keys.rates())).toBe("not ours");
  });
});

describe("take-quota", () => {
  const held = () => bench.redis.hgetall(bench.keys.quotas());
  const today = () => Math.floor(Date.now() / 86_400_000);

  test("as many as there are, and not one more; others have their own", async () => {
    expect(await limits.takeQuota("a", 3, 2)).toMatchObject({ allowed: true, taken: 2 });
    expect(await limits.takeQuota("a", 3, 2)).toMatchObject({ allowed: false, taken: 2 });
    const { day, leftMs } = await limits.takeQuota("a", 3, 1);
    expect(await limits.takeQuota("a", 3, 1)).toMatchObject({ allowed: false, taken: 3 });
    expect(await limits.takeQuota("b", 3, 3)).toMatchObject({ allowed: true, taken: 3 });
    expect(await held()).toEqual({ "": String(day), a: "3", b: "3" });
    expect(leftMs).toBeGreaterThan(0);
    expect(leftMs).toBeLessThanOrEqual(86_400_000);
    expect([today(), today() - 1]).toContain(day);
  });

  test("to look takes nothing", async () => {
    expect(await limits.takeQuota("a", 3, 0)).toMatchObject({ allowed: true, taken: 0 });
    expect(Object.keys(await held())).toEqual([""]);
  });

  test("what is given back can be taken again, and no more than was taken", async () => {
    const { day } = await limits.takeQuota("a", 3, 3);
    expect(await limits.takeQuota("a", 0, -1, day)).toMatchObject({ taken: 2 });
    expect(await limits.takeQuota("a", 3, 1)).toMatchObject({ allowed: true, taken: 3 });
    expect(await limits.takeQuota("a", 0, -9, day)).toMatchObject({ taken: 0 });
    expect(await held()).toEqual({ "": String(day) });
    await limits.takeQuota("a", 3, 1);
    expect(await limits.takeQuota("a", 0, -1, day - 1)).toMatchObject({ taken: 1 });
  });

  test("another day begins anew", async () => {
    await bench.redis.hset(bench.keys.quotas(), { "": "20000", a: "3", b: "3" });
    const { allowed, taken, day } = await limits.takeQuota("a", 3, 1);
    expect({ allowed, taken }).toEqual({ allowed: true, taken: 1 });
    expect(await held()).toEqual({ "": String(day), a: "1" });
  });

  test("a key of the wrong type refuses it", async () => {
    await bench.redis.set(bench.keys.quotas(), "not ours");
    await expect(limits.takeQuota("a", 3, 1)).rejects.toMatchObject({ code: "wrong_type" });
    expect(await bench.redis.get(bench.keys.quotas())).toBe("not ours");
  });
});
