import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { NamespaceKeys } from "../../../engine/keys.ts";
import { CONFIG, type Nudge, parseNudge } from "../../../engine/store/broadcast-store.ts";
import { rawRedis } from "../../support/redis.ts";
import { StoreBench } from "../../support/store.ts";

let bench: StoreBench;
let keys: NamespaceKeys;
beforeEach(() => {
  bench = new StoreBench();
  keys = new NamespaceKeys(bench.namespace);
});
afterEach(() => bench.close());

/** What the two hashes hold, with T for times. */
async function held() {
  const read = async (key: string) => {
    const fields = Object.entries(await bench.redis.hgetall(key)).sort();
    return Object.fromEntries(fields.map(([field, value]) => [field, value.replace(/\b\d{13}\b/g, "T")]));
  };
  return { config: await read(keys.config()), generations: await read(keys.generations()) };
}

const set = (subject: string, value: string) => bench.broadcast.send({ topic: CONFIG, subject, act: "set", value });
const remove = (subject: string) => bench.broadcast.send({ topic: CONFIG, subject, act: "delete" });
const drop = (topic: string, subject: string) => bench.broadcast.send({ topic, subject, act: "drop" });
const fill = (key: string, count: number, value: string) =>
  bench.redis.hset(key, Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, value])));

describe("broadcast", () => {
  test("a key that is set, and set again", async () => {
    const first = await set("a", '{"n": []}');
    expect(await held()).toEqual({ config: { a: '1-T {"n": []}' }, generations: { config: "1-T" } });
    const second = await set("a", "2");
    expect(second!.before).toBe(first!.now);
    await set("b", "3");
    expect(await held()).toEqual({ config: { a: "2-T 2", b: "3-T 3" }, generations: { config: "3-T" } });
  });

  test("a key that is deleted; one that is not there changes nothing", async () => {
    await set("a", "1");
    await remove("a");
    const after = { config: {}, generations: { config: "2-T" } };
    expect(await held()).toEqual(after);
    expect(await remove("a")).toBeUndefined();
    expect(await held()).toEqual(after);
  });

  test("a topic, or a subject of it, that is dropped", async () => {
    await drop("models", "gpt");
    await drop("models", "");
    await drop("users", "ann");
    expect(await held()).toEqual({ config: {}, generations: { models: "2-T", users: "1-T" } });
  });

  test("every change is told as it was stored; one that is too large only that it was made", async () => {
    const told: (Nudge | undefined)[] = [];
    const last = Promise.withResolvers<void>();
    const listener = rawRedis();
    listener.on("message", (_, text) => {
      if (told.push(parseNudge(text)) === 5) last.resolve();
    });
    await listener.subscribe(keys.broadcast());
    const changes = [await set("a", '"x"'), await remove("a"), await drop("models", "a b/c"), await drop("models", "")];
    const large = await set("a", `"${"x".repeat(10_000)}"`);
    const { line: _, ...untold } = large!;
    await last.promise;
    expect(told).toEqual([...changes, { ...untold, act: "read" }]);
  });

  test.each([
    ["keys", () => fill(keys.config(), 1_000, "1-1 1")],
    ["bytes", () => fill(keys.config(), 200, `1-1 "${"x".repeat(32_000)}"`)],
  ])("more than the most %s: refused, while what is there can still be changed", async (_, prepare) => {
    await prepare();
    const before = await held();
    await expect(set("new", `"${"y".repeat(100)}"`)).rejects.toMatchObject({ code: "config_full" });
    expect(await held()).toEqual(before);
    await set("k1", "2");
    await remove("k2");
    expect((await held()).generations).toEqual({ config: "2-T" });
  });

  test("more than the most topics: refused, while those that are there can still be dropped", async () => {
    await fill(keys.generations(), 100, "1-1");
    const before = await held();
    await expect(drop("new", "")).rejects.toMatchObject({ code: "config_full" });
    expect(await held()).toEqual(before);
    expect(await drop("k1", "")).toMatchObject({ before: "1-1" });
  });

  test.each(["config", "generations"] as const)("a key of the wrong type, %s: refused", async (which) => {
    await bench.redis.set(keys[which](), "not ours");
    for (const change of [
      () => set("a", "1"),
      () => remove("a"),
      () => drop("models", ""),
      () => bench.broadcast.read(),
    ])
      await expect(change()).rejects.toMatchObject({ code: "wrong_type" });
    expect(await bench.redis.get(keys[which]())).toBe("not ours");
  });
});

describe("read-broadcast", () => {
  test("the generations, and the configuration unless it is the known one", async () => {
    expect(await bench.broadcast.read()).toEqual({ generations: new Map(), config: {} });
    expect(await bench.broadcast.read("-")).toEqual({ generations: new Map() });
    const { now } = (await set("a", "1"))!;
    const generations = new Map([[CONFIG, now]]);
    expect(await bench.broadcast.read("-")).toEqual({ generations, config: { a: `${now} 1` } });
    expect(await bench.broadcast.read(now)).toEqual({ generations });
    expect(await bench.broadcast.read("1-1")).toEqual({ generations, config: { a: `${now} 1` } });
  });
});

test.each(["", "a", "a - 1-1 set", "a - 1-1 push\nx", "a 1-1 set\nx"])("%j is no message of ours", (text) => {
  expect(parseNudge(text)).toBeUndefined();
});
