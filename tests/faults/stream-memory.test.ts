import { any } from "valibot";
import { expect, test } from "vitest";
import type { Entry } from "../../engine/entry.ts";
import { newRunId } from "../../engine/ids.ts";
import { workflow } from "../../engine/index.ts";
import { Reply } from "../../engine/store.ts";
import { Random } from "../support/faults/random.ts";
import { newSeed, sized, TIMEOUT_MS } from "../support/faults/settings.ts";
import { StoreBench } from "../support/store.ts";

const ENTRIES = sized(4_000, 1_000_000);
const AT_ONCE = 100;
const HELD_OF = 100;

const one = workflow("one", { input: any() }).step("a", (n) => n);

test("a stream with 1 % of its entries held keeps memory, and gives it back once those are released", {
  timeout: TIMEOUT_MS,
}, async () => {
  const seed = newSeed();
  const random = new Random(seed);
  const bench = new StoreBench(one);
  const stream = bench.stream("a");
  const size = async () => Number(await bench.redis.memory("USAGE", stream.key, "SAMPLES", 0));
  const finish = async (entries: readonly Entry[]) => {
    const items = entries.map((entry) => ({
      entry,
      batch: 0,
      events: [],
      end: { kind: "complete", output: "1" } as const,
    }));
    for (let at = 0; at < items.length; at += AT_ONCE)
      expect(new Set(await bench.store.commit("ann", items.slice(at, at + AT_ONCE)))).toEqual(new Set([Reply.Done]));
  };
  const pass = async (count: number) => {
    const ids = Array.from({ length: count }, () => newRunId(0));
    await Promise.all(ids.map((id) => bench.admit(id)));
    const entries = await bench.take("a", "ann", count);
    expect(entries).toHaveLength(count);
    return { ids, entries };
  };
  const forget = (ids: readonly string[]) =>
    bench.redis.unlink(...ids.flatMap((id) => [bench.keys.run(id), bench.keys.log(id)]));

  const warm = await pass(AT_ONCE);
  const [[, fields]] = (await bench.redis.xrange(stream.key, "-", "+", "COUNT", 1)) as [[string, string[]]];
  expect(fields.join("").length).toBeLessThan(300);
  await finish(warm.entries);
  const baseline = await size();

  const held: Entry[] = [];
  for (let passed = 0; passed < ENTRIES; passed += AT_ONCE) {
    const { ids, entries } = await pass(AT_ONCE);
    const kept = new Set(entries.filter(() => random.whole(1, HELD_OF) === 1));
    await finish(entries.filter((entry) => !kept.has(entry)));
    held.push(...kept);
    await forget(ids.filter((id) => ![...kept].some(({ run }) => run === id)));
  }
  const sparse = await size();
  // As many entries side by side.
  const dense = new StoreBench(one);
  const ids = held.map(() => newRunId(0));
  await Promise.all(ids.map((id) => dense.admit(id)));
  await dense.take("a", "ann", held.length);
  const packed = Number(await dense.redis.memory("USAGE", dense.stream("a").key, "SAMPLES", 0));
  console.log(
    `SEED=${seed}: ${ENTRIES} entries through, ${held.length} held: ${sparse} bytes, ${(sparse / packed).toFixed(1)} times what they take side by side (${packed})`,
  );
  await finish(held);
  const released = await size();
  console.log(`released: ${released} bytes; before anything was held: ${baseline}`);
  expect(released).toBeLessThanOrEqual(1.5 * baseline);
  expect(await bench.redis.xlen(stream.key)).toBe(0);
  bench.close();
  dense.close();
});
