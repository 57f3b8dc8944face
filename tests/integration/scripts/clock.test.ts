import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { NamespaceKeys, SCHEMA_VERSION } from "../../../engine/keys.ts";
import { ClockedClient, ClockStore } from "../../../engine/store/clock-store.ts";
import { TimerStore } from "../../../engine/store/timer-store.ts";
import { Reply, Store } from "../../../engine/store.ts";
import { linkTo, redisUrl } from "../../support/redis.ts";
import { keysLike } from "../../support/redis-client.ts";
import { changes } from "../../support/state.ts";
import { StoreBench } from "../../support/store.ts";

const DAY_MS = 86_400_000;
const LEASE_MS = 10_000;
/** Real time goes on meanwhile. */
const REAL_MS = 60_000;

let bench: StoreBench;
let client: ClockedClient;
let clock: ClockStore;
let store: Store;
let timers: TimerStore;
beforeEach(() => {
  bench = new StoreBench();
  client = new ClockedClient(linkTo(redisUrl, "clock-bench"), [bench.keys.clock()]);
  clock = new ClockStore(client, bench.keys);
  store = new Store(client, new NamespaceKeys(bench.namespace));
  timers = new TimerStore(client, bench.keys);
});
afterEach(() => {
  client.close();
  bench.close();
});

const expectAbout = (ms: number | string, expected: number) => {
  expect(Number(ms)).toBeGreaterThanOrEqual(expected);
  expect(Number(ms)).toBeLessThan(expected + REAL_MS);
};

describe("rest", () => {
  test("an empty namespace rests, and asking changes nothing", async () => {
    const before = await bench.state();
    const { nowMs, ...standing } = await clock.standing();
    expectAbout(nowMs, Date.now() - 1_000);
    expect(standing).toEqual({ due: 0, atWork: [] });
    expect(changes(before, await bench.state())).toEqual({});
  });

  test("says which steps are queued or in hand, which rows are due and when the next one is", async () => {
    await bench.held();
    await bench.admit(bench.run.replace(/.{4}-0$/, "ffff-0"));
    const nextAt = Date.now() + DAY_MS;
    for (const [row, at] of Object.entries({ past: 1, now: Date.now(), next: nextAt, last: nextAt + 1 }))
      await bench.redis.zadd(bench.keys.timers(), at, row);
    const before = await bench.state();
    expect(await clock.standing()).toMatchObject({ due: 2, nextAt, atWork: [{ what: "two@1:a", entries: 2 }] });
    expect(changes(before, await bench.state())).toEqual({});
  });

  test("says what is left to a subscription, and when it is to be tried again, if it is asked about that", async () => {
    const nextAt = Date.now() + DAY_MS;
    await bench.redis.zadd(bench.keys.redeliveries("mail"), 1, "past", nextAt, "next");
    await bench.redis.zadd(bench.keys.timers(), nextAt + 1, "later");
    await bench.redis.xadd(bench.keys.subscription("mail"), "*", "run", bench.run);
    const before = await bench.state();
    const atWork = [{ what: "subscription mail", entries: 1 }];
    expect(await clock.standing(["none", "mail"])).toMatchObject({ due: 1, nextAt, atWork });
    expect(await clock.standing()).toMatchObject({ due: 0, nextAt: nextAt + 1, atWork: [] });
    expect(changes(before, await bench.state())).toEqual({});
  });

  test("says nothing of dead letters, nor of other namespaces", async () => {
    const other = new StoreBench();
    await other.admit();
    await bench.fail(await bench.held());
    expect(await clock.standing()).toMatchObject({ due: 0, atWork: [] });
    other.close();
  });
});

describe("over the kit's connection", () => {
  test("a clock that was never moved is the server's", async () => {
    await store.admit({ id: bench.run, graph: bench.stream("a").graph, tenant: "default", input: "1" });
    expectAbout((await bench.redis.hget(bench.keys.run(bench.run), "createdAt"))!, Date.now() - 1_000);
  });

  test("runs go by the clock: what is stored, and what is due", async () => {
    const before = await bench.state();
    await client.forward(DAY_MS);
    await client.forward(2 * DAY_MS);
    expect(changes(before, await bench.state())).toEqual({ clock: [`a string: ${3 * DAY_MS}`] });
    const now = Date.now();
    await store.admit({ id: bench.run, graph: bench.stream("a").graph, tenant: "default", input: "1" });
    expectAbout((await bench.redis.hget(bench.keys.run(bench.run), "createdAt"))!, now + 3 * DAY_MS);
    expectAbout((await bench.redis.lindex(bench.keys.log(bench.run), 0))!.split(" ")[0]!, now + 3 * DAY_MS);

    const row = { kind: "forget", tenant: "default", hash: "h" } as const;
    await bench.redis.zadd(bench.keys.timers(), now + DAY_MS, "forget|default|h");
    expect(await bench.timers.dueTimers(100)).toMatchObject({ due: [] });
    expect(await bench.timers.promote([row])).toEqual([Reply.Already]);
    expect(await timers.dueTimers(100)).toEqual({ due: [row] });
    expect(await timers.promote([row])).toEqual([Reply.Done]);
  });

  test("leases go by the server: heartbeats are told in its time, and a jump takes no lease", async () => {
    const entry = await bench.held();
    const stream = bench.stream("a");
    const beat = () => store.heartbeat("ann", LEASE_MS, [stream], [[entry]]);
    expect(await beat()).toEqual([]);
    // Beats came without a gap for long enough for leases to be looked at.
    await bench.redis.hset(bench.keys.beats(), "since", Date.now() - 2 * LEASE_MS);
    await client.forward(DAY_MS);
    expect(await store.reclaim(stream, "bob", "expired", LEASE_MS, 10, [])).toEqual([]);
    expect(await beat()).toEqual([]);
    const { last, since } = await bench.redis.hgetall(bench.keys.beats());
    expectAbout(last!, Date.now() - REAL_MS / 2);
    expect(Number(since)).toBeLessThan(Number(last));
    const seen = (await bench.redis.hget(bench.keys.workers(), "ann"))!.split(" ")[0]!;
    expectAbout(seen, Date.now() - REAL_MS / 2);

    await bench.redis.xclaim(stream.key, "workers", "ann", 0, entry.id, "IDLE", LEASE_MS, "JUSTID");
    const taken = await store.reclaim(stream, "bob", "expired", LEASE_MS, 10, []);
    expect(taken.map(({ id }) => id)).toEqual([entry.id]);
  });

  test("everything of the namespace is removed, and nothing else", async () => {
    const other = new StoreBench();
    await other.admit();
    await bench.fail(await bench.held());
    await bench.redis.hset(new NamespaceKeys(bench.namespace).meta(), "schema", SCHEMA_VERSION);
    const kept = await other.state();
    await clock.removeAll(bench.namespace);
    expect(await bench.state()).toEqual({});
    expect(await keysLike(bench.redis, `*${bench.namespace}*`)).toEqual([]);
    expect(await other.state()).toEqual(kept);
    other.close();
  });
});
