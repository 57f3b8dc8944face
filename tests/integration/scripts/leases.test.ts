import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Entry } from "../../../engine/entry.ts";
import { newRunId } from "../../../engine/ids.ts";
import { changes } from "../../support/state.ts";
import { StoreBench } from "../../support/store.ts";

let bench: StoreBench;
let entry: Entry;
beforeEach(async () => {
  bench = new StoreBench();
  entry = await bench.held();
});
afterEach(() => bench.close());

/** Makes an entry look as if its owner had last been heard of so long ago. */
async function age(ms: number, each = entry, consumer = "ann"): Promise<void> {
  await bench.redis.xclaim(each.stream.key, "workers", consumer, 0, each.id, "IDLE", ms, "JUSTID");
}

async function pending(): Promise<[id: string, consumer: string, idleMs: number, count: number][]> {
  return (await bench.redis.xpending(entry.stream.key, "workers", "-", "+", 100)) as never;
}

describe("heartbeat", () => {
  const beat = (entries: Entry[], consumer = "ann") =>
    bench.store.heartbeat(consumer, 10_000, [bench.stream("a")], [entries]);

  test("the owner's entries are as if just delivered, their counts unchanged, and the worker is listed", async () => {
    await age(60_000);
    expect(await beat([entry])).toEqual([]);
    const [[, consumer, idleMs, count]] = (await pending()) as [[string, string, number, number]];
    expect([consumer, count]).toEqual(["ann", 1]);
    expect(idleMs).toBeLessThan(10_000);
    const listed = await bench.redis.hget(bench.keys.workers(), "ann");
    expect(JSON.parse(listed!.slice(listed!.indexOf(" ")))).toEqual({ streams: [entry.stream.key] });
  });

  test("each of several is, and no other", async () => {
    for (let i = 0; i < 3; i += 1) await bench.admit(newRunId(0));
    const entries = [entry, ...(await bench.take("a"))];
    for (const each of entries) await age(60_000, each);
    expect(await beat(entries.slice(0, 3))).toEqual([]);
    const idle = (await pending()).map(([, , idleMs]) => idleMs >= 60_000);
    expect(idle).toEqual([false, false, false, true]);
  });

  test("another consumer's entry is lost, and stays the owner's", async () => {
    await age(60_000);
    expect(await beat([entry], "bob")).toEqual([entry]);
    expect((await pending())[0]?.[1]).toBe("ann");
    expect((await pending())[0]?.[2]).toBeGreaterThanOrEqual(60_000);
  });

  test("an entry that was delivered again since is lost", async () => {
    await bench.redis.xclaim(entry.stream.key, "workers", "ann", 0, entry.id);
    expect(await beat([entry])).toEqual([entry]);
    // To the same worker, which still works on it as it was delivered first.
    expect(await beat([entry, { ...entry, count: 2 }])).toEqual([entry]);
  });

  test("an entry that is gone is lost, and those around it are not", async () => {
    for (let i = 0; i < 20; i += 1) await bench.admit(newRunId(0));
    const entries = [entry, ...(await bench.take("a"))];
    const gone = entries[7]!;
    await bench.redis.xack(gone.stream.key, "workers", gone.id);
    expect(await beat(entries)).toEqual([gone]);
    // Others of the same owner lie between those that are asked about.
    expect(await beat([entries[0]!, entries[20]!])).toEqual([]);
  });

  test("more entries than one script can claim", async () => {
    await Promise.all(Array.from({ length: 9_000 }, () => bench.redis.xadd(entry.stream.key, "*", "run", entry.run)));
    const group = ["GROUP", "workers", "ann", "COUNT", "9000", "STREAMS", entry.stream.key, ">"];
    const [, taken] = (await bench.redis.call("XREADGROUP", ...group)) as [string, [string][]];
    const entries = [entry, ...taken.map(([id]) => ({ ...entry, id }))];
    expect(await beat([...entries, { ...entry, id: `${Date.now() + 60_000}-0` }])).toHaveLength(1);
  });

  test("a stream of the wrong type: its entries are lost, other streams' are not", async () => {
    const other = bench.stream("b");
    await bench.redis.set(other.key, "not ours");
    const lost = { ...entry, stream: other };
    const streams = [bench.stream("a"), other];
    expect(await bench.store.heartbeat("ann", 10_000, streams, [[entry], [lost]])).toEqual([lost]);
  });
});

/** Makes it look as if workers had beaten without a gap for `sinceMs`, up to `lastMs` ago. */
async function beaten(sinceMs: number, lastMs = 0): Promise<void> {
  await bench.redis.hset(bench.keys.beats(), { last: Date.now() - lastMs, since: Date.now() - sinceMs });
}

const beats = () => bench.redis.hgetall(bench.keys.beats());

describe("heartbeats of all workers", () => {
  const beat = () => bench.store.heartbeat("ann", 10_000, [bench.stream("a")], [[]]);

  test("the first one, and one after half a lease without any, begin a time without gaps", async () => {
    await beat();
    const first = await beats();
    expect(first.since).toBe(first.last);
    await beaten(60_000, 6_000);
    await beat();
    const later = await beats();
    expect(later.since).toBe(later.last);
  });

  test("one that follows soon goes on with it", async () => {
    await beaten(60_000, 4_000);
    const { since } = await beats();
    await beat();
    expect(await beats()).toEqual({ since, last: expect.not.stringMatching(since!) });
  });
});

describe("reclaim", () => {
  beforeEach(() => beaten(60_000));

  test.each([
    ["no beat was ever heard of", () => bench.redis.del(bench.keys.beats())],
    ["the last beat is too long ago: this call itself may have waited", () => beaten(60_000, 6_000)],
    ["not everyone could beat for a lease after a gap", () => beaten(9_000)],
    [
      "the beats are of the wrong type",
      () => bench.redis.del(bench.keys.beats()).then(() => bench.redis.set(bench.keys.beats(), "not ours")),
    ],
  ])("nothing is expired when %s", async (_, arrange) => {
    await age(60_000);
    await arrange();
    expect(await expired()).toEqual([]);
    expect((await pending())[0]?.[1]).toBe("ann");
  });

  const expired = (limit = 10, held: Entry[] = []) =>
    bench.store.reclaim(bench.stream("a"), "bob", "expired", 10_000, limit, held);

  test("an entry whose lease has run out is the other's, and has crashed once", async () => {
    await age(10_000);
    const [taken] = await expired();
    expect(taken).toMatchObject({ id: entry.id, run: bench.run, count: 2, crashes: 1, failures: 0 });
    const [[, consumer, , count]] = (await pending()) as [[string, string, number, number]];
    expect([consumer, count]).toEqual(["bob", 2]);
  });

  test("a lease that has not run out is left", async () => {
    await age(5_000);
    expect(await expired()).toEqual([]);
    expect((await pending())[0]?.[1]).toBe("ann");
  });

  test("no more than there is room for", async () => {
    for (let i = 0; i < 5; i += 1) await bench.admit(newRunId(0));
    for (const each of await bench.take("a")) await age(20_000, each);
    expect(await expired(3)).toHaveLength(3);
    expect((await pending()).filter(([, consumer]) => consumer === "bob")).toHaveLength(3);
  });

  test("what may take down one more worker only, with what it brought along, is taken singly and where it may be", async () => {
    for (let i = 0; i < 4; i += 1) await bench.admit(newRunId(0));
    const entries = await bench.take("a");
    const expire = async (each: Entry, count: number) =>
      bench.redis.call("XCLAIM", each.stream.key, "workers", "ann", 0, each.id, "IDLE", 20_000, "RETRYCOUNT", count);
    // Of three deaths that a step is allowed, two lie behind the first two once they are delivered again.
    for (const [i, each] of entries.entries()) await expire(each, i < 2 ? 2 : 1);
    const chances = (n: number) => bench.store.reclaim(bench.stream("a"), "bob", "expired", 10_000, 10, [], n);
    expect((await chances(0)).map(({ id }) => id)).toEqual([entries[2]!.id, entries[3]!.id]);
    expect(await chances(1)).toMatchObject([{ id: entries[0]!.id, crashes: 2 }]);
    expect(await chances(1)).toMatchObject([{ id: entries[1]!.id, crashes: 2 }]);
    // Past its last chance it is not run any more.
    for (const each of entries) await expire(each, 3);
    expect(await chances(0)).toHaveLength(4);
  });

  test("deaths that were counted before an entry was given back count as well", async () => {
    const item = { entry: { ...entry, crashes: 1 }, end: { kind: "release" as const } };
    await bench.commit(item);
    const [again] = await bench.take("a");
    await age(20_000, again);
    expect(again).toMatchObject({ crashes: 1, count: 1 });
    expect(await expired()).toEqual([]);
    const [taken] = await bench.store.reclaim(bench.stream("a"), "bob", "expired", 10_000, 10, [], 1);
    expect(taken).toMatchObject({ id: again!.id, crashes: 2 });
  });

  test("an own entry that it works on is left, however long its last heartbeat is ago", async () => {
    await age(20_000, entry, "bob");
    expect(await expired(10, [entry])).toEqual([]);
  });

  test("own entries that it does not hold are taken up, uncharged; others' are not", async () => {
    await bench.admit(newRunId(0));
    const [bobs] = await bench.take("a", "bob");
    const own = await bench.store.reclaim(bench.stream("a"), "bob", "own", 0, 10, []);
    expect(own).toMatchObject([{ id: bobs!.id, count: 1, crashes: 0 }]);
    expect(await bench.store.reclaim(bench.stream("a"), "bob", "own", 0, 10, own)).toEqual([]);
  });

  test("an entry that was deleted while pending is pending no more", async () => {
    await bench.redis.xdel(entry.stream.key, entry.id);
    await age(20_000);
    expect(await expired()).toEqual([]);
    expect(await pending()).toEqual([]);
  });

  test("a stream that is not there, or of the wrong type", async () => {
    await bench.redis.del(entry.stream.key);
    expect(await expired()).toEqual([]);
    await bench.redis.set(entry.stream.key, "not ours");
    expect(await expired()).toEqual([]);
  });
});

describe("retire", () => {
  const retire = (consumer: string) => bench.store.retire(consumer, bench.keys, [entry.stream.key]);

  test("a worker for which something is pending stays, with what is pending", async () => {
    await bench.store.heartbeat("ann", 10_000, [bench.stream("a")], [[]]);
    const before = await bench.state();
    expect(await retire("ann")).toBe(false);
    expect(changes(before, await bench.state())).toEqual({});
  });

  test("a worker for which nothing is pending is off the list and out of its groups", async () => {
    await bench.store.heartbeat("ann", 10_000, [bench.stream("a")], [[]]);
    await bench.fail(entry);
    expect(await retire("ann")).toBe(true);
    expect(await bench.redis.xinfo("CONSUMERS", entry.stream.key, "workers")).toEqual([]);
    expect(await bench.redis.hlen(bench.keys.workers())).toBe(0);
  });

  test("a key of the wrong type changes nothing", async () => {
    await bench.redis.set(bench.keys.workers(), "not ours");
    expect(await retire("ann")).toBe(false);
    expect(await pending()).toHaveLength(1);
  });
});
