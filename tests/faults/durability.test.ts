import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { UnconfirmedError } from "../../engine/index.ts";
import { NamespaceKeys } from "../../engine/keys.ts";
import { allRuns, keysFrom, startAll } from "../support/confirmed.ts";
import { counting } from "../support/counting.ts";
import { engineUnderTest } from "../support/engine-under-test.ts";
import { sized, TIMEOUT_MS } from "../support/faults/settings.ts";
import { openProxy } from "../support/proxy.ts";
import { rawRedis } from "../support/redis.ts";
import { type Cluster, cluster } from "../support/servers/cluster.ts";
import { replicated } from "../support/servers/replicated.ts";

const count = sized(25, 250);

test(
  "the primary is lost: no run that was confirmed as replicated is, and none that is lost was told to be safe",
  async () => {
    await using pair = await replicated();
    const of = { url: pair.primary.url, durability: { replicas: 1, timeoutMs: 300 } };
    await using safe = await engineUnderTest([counting], of);
    const { namespace } = safe;
    await using quick = await engineUnderTest([counting], { url: pair.primary.url, namespace });
    const before = await startAll(safe.millrace, keysFrom("before-", count));
    expect(before.unconfirmed.size).toBe(0);
    expect(new Set([...before.confirmed.values()].map(({ durability }) => durability))).toEqual(
      new Set(["replicated"]),
    );

    await pair.detach();
    const keys = keysFrom("after-", count);
    const after = await startAll(safe.millrace, keys);
    expect([...after.unconfirmed.keys()].sort()).toEqual([...keys].sort());
    const hasty = await startAll(quick.millrace, keysFrom("hasty-", count));
    expect(new Set([...hasty.confirmed.values()].map(({ durability }) => durability))).toEqual(new Set(["memory"]));
    expect(await allRuns(safe.millrace)).toHaveLength(3 * count);
    await pair.promote();

    await using next = await engineUnderTest([counting], { url: pair.replica.url, namespace });
    const confirmed = [...before.confirmed.values()].map(({ id }) => id);
    const survivors = await allRuns(next.millrace);
    expect(survivors).toEqual(expect.arrayContaining(confirmed));
    // What is lost was called unconfirmed, or only in memory; and it is said to be gone.
    const lost = [...after.unconfirmed.values()].map(({ run }) => run);
    lost.push(...[...hasty.confirmed.values()].map(({ id }) => id));
    expect(survivors.filter((id) => lost.includes(id))).toEqual([]);
    for (const id of lost) await expect(next.millrace.runs.get(id)).rejects.toMatchObject({ code: "not_found" });

    // Whoever got no confirmation asks again: each key makes one run.
    await next.worker();
    const again = await startAll(next.millrace, [...before.confirmed.keys(), ...after.unconfirmed.keys()]);
    for (const [key, { id }] of before.confirmed)
      expect(again.confirmed.get(key)).toMatchObject({ id, created: false });
    const runs = await allRuns(next.millrace);
    expect(runs).toHaveLength(2 * count);
    for (const id of runs) expect(await next.ended(id)).toMatchObject({ status: "completed", output: 4 });
  },
  TIMEOUT_MS,
);

test("a start whose connection is cut while it waits is not confirmed by another connection's wait", async () => {
  await using pair = await replicated();
  await using proxy = await openProxy(pair.primary.url);
  const durability = { replicas: 1, timeoutMs: 3_000 };
  await using engine = await engineUnderTest([counting], { url: proxy.url, durability });
  await startAll(engine.millrace, ["first"]);
  // It stays connected: a wait for nothing would count it.
  pair.replica.signal("SIGSTOP");
  const start = startAll(engine.millrace, ["second"]);
  const client = rawRedis(pair.primary.url);
  await expect.poll(() => client.info("clients")).toContain("blocked_clients:1");
  proxy.cut();
  const { unconfirmed } = await start;
  expect(unconfirmed.get("second")).toMatchObject({ code: "unconfirmed" });
  pair.replica.signal("SIGCONT");
  const { confirmed } = await startAll(engine.millrace, ["second"]);
  const run = unconfirmed.get("second")!.run;
  expect(confirmed.get("second")).toMatchObject({ id: run, created: false, durability: "replicated" });
});

test("a run that another connection has stored is not confirmed by one that was idle since", async () => {
  await using pair = await replicated();
  const of = { url: pair.primary.url, durability: { replicas: 1, timeoutMs: 200 } };
  await using first = await engineUnderTest([counting], of);
  await using second = await engineUnderTest([counting], { ...of, namespace: first.namespace });
  await startAll(second.millrace, ["other"]);
  await pair.inStep();
  pair.replica.signal("SIGSTOP");
  const dedupe = { key: "k", mode: "simple", windowMs: 60_000 } as const;
  const start = ({ millrace }: typeof first) => millrace.runs.start(counting, { n: 1 }, { dedupe });
  await expect(start(first)).rejects.toMatchObject({ code: "unconfirmed" });
  await expect(start(second)).rejects.toMatchObject({ code: "unconfirmed" });
  pair.replica.signal("SIGCONT");
  expect(await start(second)).toMatchObject({ durability: "replicated", created: false });
});

describe("in a cluster", () => {
  let servers: Cluster;
  beforeAll(async () => {
    servers = await cluster();
  }, 60_000);
  afterAll(() => servers[Symbol.asyncDispose]());

  test(
    "whose replicas stand still, nothing is confirmed; when they go on, asking again confirms each run, and makes none",
    async () => {
      const durability = { replicas: 1, timeoutMs: 250 };
      await using engine = await engineUnderTest([counting], { url: servers.url, durability });
      const first = await startAll(engine.millrace, keysFrom("first-", 30));
      expect(first.unconfirmed).toEqual(new Map());
      const masters = await servers.masters();
      const replicas = servers.nodes.filter((node) => !masters.includes(node));
      const asked = sized(60, 1_000);
      const keys = keysFrom("still-", asked);
      for (const { server } of replicas) server.signal("SIGSTOP");
      const still = await startAll(engine.millrace, keys);
      const repeated = await startAll(engine.millrace, keysFrom("still-", 10));
      for (const { server } of replicas) server.signal("SIGCONT");
      expect(still.confirmed).toEqual(new Map());
      expect(repeated.confirmed).toEqual(new Map());
      for (const error of still.unconfirmed.values()) expect(error).toBeInstanceOf(UnconfirmedError);

      await expect
        .poll(async () => (await startAll(engine.millrace, keys)).unconfirmed.size, { timeout: 20_000 })
        .toBe(0);
      const again = await startAll(engine.millrace, keys);
      for (const [key, { run }] of still.unconfirmed)
        expect(again.confirmed.get(key)).toMatchObject({ id: run, created: false, durability: "replicated" });
      expect(await allRuns(engine.millrace)).toHaveLength(30 + asked);
    },
    TIMEOUT_MS,
  );

  test("whose slot moves, and whose scripts are forgotten, starts are confirmed all the same", async () => {
    const durability = { replicas: 1, timeoutMs: 2_000 };
    await using engine = await engineUnderTest([counting], { url: servers.url, durability });
    await startAll(engine.millrace, keysFrom("before-", 30));
    const key = new NamespaceKeys(engine.namespace).partition(0).timers();
    const from = await servers.masterOf(key);
    const masters = await servers.masters();
    const to = masters.find((node) => node !== from)!;
    await servers.moveSlot(Number(await from.client.call("CLUSTER", "KEYSLOT", key)), to);
    for (const { client } of masters) await client.script("FLUSH");
    const { confirmed, unconfirmed } = await startAll(engine.millrace, keysFrom("after-", 100));
    expect(unconfirmed).toEqual(new Map());
    expect(new Set([...confirmed.values()].map(({ durability, created }) => `${durability} ${created}`))).toEqual(
      new Set(["replicated true"]),
    );
    expect(await allRuns(engine.millrace)).toHaveLength(130);
  });
});
