import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { IssueTicketOptions, Millrace } from "../../../engine/index.ts";
import { NamespaceKeys } from "../../../engine/keys.ts";
import { type EngineUnderTest, engineUnderTest } from "../../support/engine-under-test.ts";
import { adding } from "../../support/programs/definitions.ts";
import { openProxy } from "../../support/proxy.ts";
import { freshNamespace, isCluster, leftovers, rawRedis, redisUrl } from "../../support/redis.ts";

let namespace: string;
let engines: EngineUnderTest[];
let ann: Millrace;
let bob: Millrace;
beforeEach(async () => {
  namespace = freshNamespace();
  engines = [await engineUnderTest([], { namespace }), await engineUnderTest([], { namespace })];
  [ann, bob] = engines.map(({ millrace }) => millrace) as [Millrace, Millrace];
});
afterEach(() => Promise.all(engines.map((engine) => engine[Symbol.asyncDispose]())));

const ticketsLeft = async () => (await leftovers(redisUrl, namespace)).filter((key) => key.includes(":ticket:"));

describe("a ticket", () => {
  test("says what it is for, once, in any process", async () => {
    const { ticket, expiresAt } = await ann.access.tickets.issue({ tenant: "acme", runs: ["r1", "r2", "r1"] });
    expect(ticket).toMatch(/^mrt_[a-z2-7]{52}$/);
    expect(Math.abs(Date.parse(expiresAt) - Date.now() - 60_000)).toBeLessThan(5_000);
    expect(JSON.stringify(await ticketsLeft())).not.toContain(ticket.slice(4, 20));
    expect(await bob.access.tickets.redeem(ticket)).toEqual({ tenant: "acme", runs: ["r1", "r2"], canSignal: false });
    expect(await ann.access.tickets.redeem(ticket)).toBeUndefined();
    expect(await ticketsLeft()).toEqual([]);
    const other = await ann.access.tickets.issue({ workflows: ["flow"], canSignal: true, ttlMs: 3_600_000 });
    expect(await bob.access.tickets.redeem(other.ticket)).toEqual({
      tenant: "default",
      workflows: ["flow"],
      canSignal: true,
    });
  });

  test("that 1,000 redeem at once is one's", async () => {
    const { ticket } = await ann.access.tickets.issue({ runs: ["r1"] });
    const redeemed = await Promise.all(
      Array.from({ length: 1_000 }, (_, i) => [ann, bob][i % 2]!.access.tickets.redeem(ticket)),
    );
    expect(redeemed.filter((each) => each !== undefined)).toHaveLength(1);
  });

  test("is gone by itself when it is too old", async () => {
    await using working = await engineUnderTest([adding], { namespace });
    await working.worker();
    const { ticket } = await ann.access.tickets.issue({ runs: ["r1"], ttlMs: 1_000 });
    expect(await ticketsLeft()).toHaveLength(1);
    await expect.poll(ticketsLeft, { timeout: 10_000 }).toEqual([]);
    expect(await ann.access.tickets.redeem(ticket)).toBeUndefined();
  });

  test("does not outlive the key that it was asked for with", async () => {
    const { keys, tickets } = ann.access;
    const made = await keys.create({ name: "ci", scopes: ["runs:read"] });
    const key = (await keys.verify(made.secret))!;
    const [first, second] = await Promise.all([1, 2].map(() => tickets.issue({ runs: ["r1"], key })));
    const { id, secretNumber } = key;
    expect(await bob.access.tickets.redeem(first!.ticket)).toMatchObject({ key: { id, secretNumber } });
    await keys.revoke(id);
    expect(await ann.access.tickets.redeem(second!.ticket)).toBeUndefined();
  });

  test.each(["", "mrt_", `mrt_${"a".repeat(52)}`, `mrt_${"a".repeat(53)}`, "x".repeat(10_000)])(
    "%j is none",
    async (text) => {
      expect(await ann.access.tickets.redeem(text)).toBeUndefined();
    },
  );

  test.each<[string, Record<string, unknown>]>([
    ["runs", {}],
    ["runs", { runs: ["a"], workflows: ["b"] }],
    ["runs", { runs: [] }],
    ["runs", { runs: ["a b"] }],
    ["runs", { runs: "abc" }],
    ["runs", { runs: Array.from({ length: 101 }, (_, i) => `r${i}`) }],
    ["workflows", { workflows: [7] }],
    ["workflows", { workflows: Array.from({ length: 21 }, (_, i) => `w${i}`) }],
    ["ttlMs", { runs: ["a"], ttlMs: 999 }],
    ["ttlMs", { runs: ["a"], ttlMs: 3_600_001 }],
    ["tenant", { runs: ["a"], tenant: "a b" }],
    ["canSignal", { runs: ["a"], canSignal: "yes" }],
  ])("with bad %s is refused: %j", async (path, options) => {
    await expect(ann.access.tickets.issue(options as IssueTicketOptions)).rejects.toMatchObject({
      code: "invalid_input",
      issues: [{ path: [path] }],
    });
    expect(await ticketsLeft()).toEqual([]);
  });
});

describe("a rate limit", () => {
  test("is kept to by 50 who take at once, in two processes", async () => {
    const limit = { requests: 100, windowMs: 86_400_000 };
    const takers = Array.from({ length: 50 }, async (_, i) => {
      let allowed = 0;
      for (let k = 0; k < 4; k += 1)
        if ((await [ann, bob][i % 2]!.access.rateLimits.take("key", limit)).allowed) allowed += 1;
      return allowed;
    });
    expect((await Promise.all(takers)).reduce((sum, each) => sum + each)).toBe(100);
    const { rateLimits } = ann.access;
    const refused = await rateLimits.take("key", limit);
    expect(refused).toMatchObject({ allowed: false, limit: 100, remaining: 0 });
    expect(refused.retryAfterMs).toBeGreaterThan(0);
    expect(refused.retryAfterMs).toBeLessThanOrEqual(864_000);
    expect(refused.resetMs).toBeLessThanOrEqual(86_400_000);
    expect(await rateLimits.take("another", limit, 0)).toEqual({
      ...{ allowed: true, limit: 100, remaining: 100, resetMs: 0, retryAfterMs: 0 },
    });
  });

  test("comes back when it says", async () => {
    const limit = { requests: 5, windowMs: 1_000 };
    const { rateLimits } = ann.access;
    await rateLimits.take("key", limit, 5);
    const { allowed, retryAfterMs } = await rateLimits.take("key", limit, 2);
    expect(allowed).toBe(false);
    await expect.poll(async () => (await rateLimits.take("key", limit, 2)).allowed).toBe(true);
    expect(retryAfterMs).toBeLessThanOrEqual(400);
  });

  test.each([
    ["", { requests: 1, windowMs: 1_000 }, 1],
    ["a\n", { requests: 1, windowMs: 1_000 }, 1],
    ["a", { requests: 0, windowMs: 1_000 }, 0],
    ["a", { requests: 1, windowMs: 1 }, 1],
    ["a", { requests: 1, windowMs: 1_000 }, 2],
    ["a", { requests: 1, windowMs: 1_000 }, -1],
  ])("that cannot be is refused: %j %j %i", async (key, limit, cost) => {
    await expect(ann.access.rateLimits.take(key, limit, cost)).rejects.toMatchObject({ code: "invalid_input" });
  });
});

test("a quota of a day is kept to by all processes, and what did not come about is given back", async () => {
  const takers = Array.from({ length: 30 }, (_, i) => [ann, bob][i % 2]!.access.quotas.takeOfDay("key", 20));
  const taken = await Promise.all(takers);
  expect(taken.filter(({ allowed }) => allowed)).toHaveLength(20);
  const { quotas } = ann.access;
  const refused = await quotas.takeOfDay("key", 20);
  expect(refused).toMatchObject({ allowed: false, limit: 20, remaining: 0, retryAfterMs: refused.resetMs });
  await quotas.giveBack("key", taken[0]!);
  expect(await quotas.takeOfDay("key", 20, 0)).toMatchObject({ allowed: true, remaining: 1, retryAfterMs: 0 });
  for (const count of [-1, 21]) await expect(quotas.takeOfDay("key", 20, count)).rejects.toThrow("count");
});

test("limits have no key of the namespace live on when nobody uses them any more", async () => {
  // Of one partition: each forgets its own.
  await using alone = await engineUnderTest([], { partitions: 1 });
  const limit = { requests: 1_000, windowMs: 1_000 };
  const { rateLimits } = alone.millrace.access;
  await Promise.all(Array.from({ length: 200 }, (_, i) => rateLimits.take(`key ${i}`, limit)));
  const redis = rawRedis();
  const held = async () => {
    // Who comes next forgets those who have all of their limit again.
    for (let i = 0; i < 20; i += 1) await rateLimits.take("last", { requests: 1_000, windowMs: 86_400_000 }, 0);
    return (await leftovers(redisUrl, alone.namespace)).filter((key) => key.endsWith(":rates"));
  };
  expect(await redis.zcard(new NamespaceKeys(alone.namespace).partition(0).rates())).toBeGreaterThan(0);
  await expect.poll(held, { timeout: 10_000 }).toEqual([]);
});

// Past the proxy, a cluster's nodes are reached all the same.
test.skipIf(isCluster)("a Redis that is away allows nothing, and says so", async () => {
  await using proxy = await openProxy();
  await using behind = await engineUnderTest([], { namespace, url: proxy.url });
  const { rateLimits, quotas, tickets } = behind.millrace.access;
  const { ticket } = await tickets.issue({ runs: ["r1"] });
  proxy.set("black-hole");
  const asked = [
    rateLimits.take("key", { requests: 1, windowMs: 1_000 }),
    quotas.takeOfDay("key", 1),
    tickets.redeem(ticket),
    tickets.issue({ runs: ["r1"] }),
  ];
  for (const each of await Promise.allSettled(asked))
    expect(each).toMatchObject({ status: "rejected", reason: { code: "unavailable" } });
});
