import { afterEach, beforeEach, expect, test } from "vitest";
import type { Entry } from "../../../engine/entry.ts";
import { MemoStore } from "../../../engine/store/memo-store.ts";
import { Reply } from "../../../engine/store.ts";
import { changes } from "../../support/state.ts";
import { StoreBench } from "../../support/store.ts";

let bench: StoreBench;
let entry: Entry;
beforeEach(async () => {
  bench = new StoreBench();
  entry = await bench.held();
});
afterEach(() => bench.close());

async function change(what: () => Promise<unknown>, expected: unknown) {
  const before = await bench.state();
  expect(await what()).toEqual(expected);
  return changes(before, await bench.state());
}

test("a result is kept by step and name, and counted", async () => {
  expect(await bench.memos.recall(entry, "pay|ment")).toBeNull();
  expect(await change(() => bench.memos.remember(entry, "pay|ment", "[]"), { reply: Reply.Done })).toEqual({
    "memos:RUN": { "a|": "1", "a||pay|ment": "[]" },
  });
  expect(await change(() => bench.memos.remember(entry, "b", "2"), { reply: Reply.Done })).toEqual({
    "memos:RUN": { "a|": "2", "a||b": "2", "a||pay|ment": "[]" },
  });
  expect(await bench.memos.recall(entry, "pay|ment")).toBe("[]");
});

test("the first result of a name stays", async () => {
  await bench.memos.remember(entry, "n", "1");
  expect(await change(() => bench.memos.remember(entry, "n", "2"), { reply: Reply.Already, known: "1" })).toEqual({});
});

test("a step has a thousand", async () => {
  await bench.redis.hset(bench.keys.memos(bench.run), "a|", 1_000, "a||known", "1", "b|", 3);
  expect(await change(() => bench.memos.remember(entry, "more", "1"), { reply: Reply.Full })).toEqual({});
  expect(await bench.memos.remember(entry, "known", "2")).toEqual({ reply: Reply.Already, known: "1" });
});

test("only who holds the step may remember", async () => {
  const bob = new MemoStore(bench.client, () => bench.keys, "bob");
  expect(await change(() => bob.remember(entry, "n", "1"), { reply: Reply.NotOwner })).toEqual({});
  const again = { ...entry, count: 2 };
  expect(await change(() => bench.memos.remember(again, "n", "1"), { reply: Reply.NotOwner })).toEqual({});
  await bench.redis.xclaim(entry.stream.key, "workers", "bob", 0, entry.id);
  expect(await change(() => bench.memos.remember(entry, "n", "1"), { reply: Reply.NotOwner })).toEqual({});
});

test("nothing is remembered for a run that has ended, or a step that is elsewhere", async () => {
  await bench.redis.hset(bench.keys.run(bench.run), "step:a", "queued 0 0 0 1-1 - - 0");
  expect(await change(() => bench.memos.remember(entry, "n", "1"), { reply: Reply.Stale })).toEqual({});
  await bench.redis.hset(bench.keys.run(bench.run), "step:a", `queued 0 0 0 ${entry.id} - - 0`, "status", "cancelled");
  expect(await change(() => bench.memos.remember(entry, "n", "1"), { reply: Reply.Stale })).toEqual({});
  await bench.redis.del(bench.keys.run(bench.run));
  expect(await change(() => bench.memos.remember(entry, "n", "1"), { reply: Reply.Stale })).toEqual({});
});

test("an item has results of its own, while it is at its place", async () => {
  const item = { ...entry, item: 7 };
  expect(await change(() => bench.memos.remember(item, "n", "1"), { reply: Reply.Stale })).toEqual({});
  await bench.redis.hset(bench.keys.items(bench.run, "a"), "7", `queued 0 0 0 ${entry.id} - - 0`);
  expect(await change(() => bench.memos.remember(item, "n", "1"), { reply: Reply.Done })).toEqual({
    "memos:RUN": { "a|7": "1", "a|7|n": "1" },
  });
  expect(await bench.memos.recall(entry, "n")).toBeNull();
});

test("a key of another type is left alone", async () => {
  await bench.redis.set(bench.keys.memos(bench.run), "x");
  expect(await change(() => bench.memos.remember(entry, "n", "1"), { reply: Reply.WrongType })).toEqual({});
});
