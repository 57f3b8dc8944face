import { expect, test } from "vitest";
import type { Broadcast } from "../../engine/broadcast.ts";
import { ResultCache } from "../../engine/result-cache.ts";

/** A cache, and what tells it that something is void. */
function cacheUnderTest() {
  let tell: (topic: string, subject?: string) => void = () => {};
  const broadcast = {
    fresh: true,
    onTopic(listener: typeof tell) {
      tell = listener;
    },
  };
  const cache = new ResultCache(broadcast as unknown as Broadcast);
  const get = (topic: string, subject: string, key: string) => cache.result(topic, subject, key).value;
  const keep = (topic: string, subject: string, key: string, value: unknown) =>
    cache.result(topic, subject, key).keep(value);
  return { broadcast, cache, get, keep, drop: (topic: string, subject?: string) => tell(topic, subject) };
}

test("a result is a copy, and of its topic, subject and key", () => {
  const { get, keep } = cacheUnderTest();
  const value = { list: [1] };
  keep("models", "a", "k", value);
  value.list.push(2);
  expect(get("models", "a", "k")).toEqual({ list: [1] });
  for (const [topic, subject, key] of [
    ["other", "a", "k"],
    ["models", "b", "k"],
    ["models", "a", "l"],
  ] as const)
    expect(get(topic, subject, key)).toBeUndefined();
});

test("a subject is dropped, or a topic, and nothing else", () => {
  const { get, keep, drop } = cacheUnderTest();
  for (const [topic, subject] of [
    ["models", "a"],
    ["models", "b"],
    ["other", "a"],
  ] as const)
    keep(topic, subject, "k", 1);
  drop("models", "a");
  expect([get("models", "a", "k"), get("models", "b", "k"), get("other", "a", "k")]).toEqual([undefined, 1, 1]);
  drop("models");
  expect([get("models", "b", "k"), get("other", "a", "k")]).toEqual([undefined, 1]);
});

test("what was asked for before the topic was dropped is not kept", () => {
  const { cache, get, drop } = cacheUnderTest();
  const [models, other] = [cache.result("models", "a", "k"), cache.result("other", "a", "k")];
  drop("models", "b");
  models.keep(1);
  other.keep(1);
  expect([get("models", "a", "k"), get("other", "a", "k")]).toEqual([undefined, 1]);
});

test("nothing is used while it cannot be known whether it is void", () => {
  const { broadcast, get, keep } = cacheUnderTest();
  keep("models", "a", "k", 1);
  broadcast.fresh = false;
  expect(get("models", "a", "k")).toBeUndefined();
  broadcast.fresh = true;
  expect(get("models", "a", "k")).toBe(1);
});

test("past a thousand results the least recently used one goes", () => {
  const { get, keep } = cacheUnderTest();
  for (let i = 0; i < 1_000; i += 1) keep("models", "a", `${i}`, i);
  expect(get("models", "a", "0")).toBe(0);
  keep("models", "a", "one more", 1);
  expect([get("models", "a", "0"), get("models", "a", "1"), get("models", "a", "2")]).toEqual([0, undefined, 2]);
});

test("past 16 MB as well, and one result of more than 1 MB is not kept", () => {
  const { get, keep } = cacheUnderTest();
  const text = "x".repeat(1_000_000);
  for (let i = 0; i < 20; i += 1) keep("models", "a", `${i}`, text);
  const kept = Array.from({ length: 20 }, (_, i) => i).filter((i) => get("models", "a", `${i}`) !== undefined);
  expect(kept).toEqual(Array.from({ length: 16 }, (_, i) => i + 4));
  keep("models", "a", "large", "x".repeat(1_100_000));
  expect(get("models", "a", "large")).toBeUndefined();
});

test.each([
  ["config", "a"],
  ["a b", "a"],
  ["models", ""],
  ["models", "a\n"],
])("%j %j is refused", (topic, subject) => {
  expect(() => cacheUnderTest().cache.result(topic, subject, "k")).toThrow("cannot be invalidated");
});
