import { afterEach, beforeEach, expect, test } from "vitest";
import type { StepStream } from "../../../engine/entry.ts";
import { newRunId } from "../../../engine/ids.ts";
import { ensureGroups } from "../../../engine/store/group-store.ts";
import { lookAt } from "../../../engine/store/look-store.ts";
import { StoreBench } from "../../support/store.ts";

let bench: StoreBench;
let [a, b]: StepStream[] = [];
beforeEach(async () => {
  bench = new StoreBench();
  [a, b] = [bench.stream("a"), bench.stream("b")];
  await ensureGroups(bench.client, [a!, b!]);
});
afterEach(() => bench.close());

/** What ann is told of the streams: what is pending, what of that is hers, and what was not delivered, by their steps' names. */
async function looks(streams = [a!, b!]): Promise<string[][]> {
  const { pending, own, undelivered } = await lookAt(bench.client, "ann", streams);
  return [pending, own, undelivered].map((found) => [...found].map(({ step }) => step.name));
}

test("a stream has something undelivered until it is taken, and something pending until that is done", async () => {
  expect(await looks()).toEqual([[], [], []]);
  await bench.admit();
  expect(await looks()).toEqual([[], [], ["a"]]);
  const entry = await bench.next("a");
  expect(await looks()).toEqual([["a"], ["a"], []]);
  await bench.admit(newRunId(0));
  expect(await looks()).toEqual([["a"], ["a"], ["a"]]);
  await bench.commit({ entry, startedAgoMs: 0, end: { kind: "complete", output: "1" } });
  expect(await looks()).toEqual([[], [], ["a", "b"]]);
});

test("what others have in hand is pending, and not one's own", async () => {
  await bench.admit();
  await bench.next("a", "bob");
  expect(await looks()).toEqual([["a"], [], []]);
});

test("what was delivered and deleted hides nothing that came after it", async () => {
  await bench.admit();
  await bench.next("a");
  await bench.redis.xtrim(a!.key, "MAXLEN", 0);
  await bench.admit(newRunId(0));
  expect(await looks()).toEqual([["a"], ["a"], ["a"]]);
});

test("a stream that cannot be looked at is one to be asked, and hides no other", async () => {
  await bench.admit();
  await bench.redis.xgroup("DESTROY", a!.key, "workers");
  await bench.redis.del(b!.key);
  await bench.redis.set(b!.key, "no stream");
  expect(await looks()).toEqual([
    ["a", "b"],
    ["a", "b"],
    ["a", "b"],
  ]);
});

test("of hundreds each is told apart", async () => {
  const streams = Array.from({ length: 250 }, (_, i) => ({ ...a!, key: `${a!.key}:${i}` }));
  await ensureGroups(bench.client, streams);
  const filled = [0, 99, 100, 249].map((at) => streams[at]!);
  for (const { key } of filled) await bench.redis.xadd(key, "*", "run", "x");
  const { undelivered, pending } = await lookAt(bench.client, "ann", streams);
  expect([...undelivered]).toEqual(filled);
  expect(pending.size).toBe(0);
});
