import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { decodeEvent } from "../../../engine/events.ts";
import { newRunId } from "../../../engine/ids.ts";
import { DeletionStore } from "../../../engine/store/deletion-store.ts";
import { FirehoseStore } from "../../../engine/store/firehose-store.ts";
import { StoreBench, two } from "../../support/store.ts";

const DAY_MS = 86_400_000;
const KEPT = 50_000;
let bench: StoreBench;
let firehose: FirehoseStore;
beforeEach(() => {
  bench = new StoreBench();
  firehose = new FirehoseStore(bench.client, bench.store);
});
afterEach(() => bench.close());

const ends = (since: number, skip = 0, limit = 10) => firehose.ends(bench.keys, "default", since, skip, limit);
const note = (...ats: number[]) =>
  bench.redis.rpush(bench.keys.ends("default"), ...ats.map((at) => `${at} run-${at} two`));
const cancelled = async () => {
  await bench.admit();
  await bench.store.cancel(bench.run, two.graph, "default");
};
const runs = (page: Awaited<ReturnType<typeof ends>>) => page?.ends.map(({ run }) => run);

describe("which runs have ended", () => {
  test("later than a time, a page at a time, the oldest first; each end of a run counts", async () => {
    const now = Date.now();
    await note(now - 30, now - 20, now - 20, now - 10);
    expect(await ends(now - 30, 0, 2)).toMatchObject({ count: 3, ends: [{ at: now - 20, workflow: "two" }, {}] });
    expect(runs(await ends(now - 30, 2, 2))).toEqual([`run-${now - 10}`]);
    expect(await ends(now - 10)).toEqual({ count: 0, ends: [] });
    expect(await firehose.size("default", now - 20)).toBe(1);
    await cancelled();
    expect(runs(await ends(now - 10))).toEqual([bench.run]);
  });

  test("is not known of more than a day ago", async () => {
    expect(await ends(Date.now() - DAY_MS - 1_000)).toBeUndefined();
    expect(await ends(Date.now() - DAY_MS + 60_000)).toEqual({ count: 0, ends: [] });
    expect(await firehose.size("default", 1)).toBe(Number.POSITIVE_INFINITY);
  });

  test("nor of more than so many: the oldest are dropped", async () => {
    const from = Date.now() - KEPT - 10;
    for (let at = 0; at < KEPT; at += 10_000) await note(...Array.from({ length: 10_000 }, (_, n) => from + at + n));
    expect((await ends(from))?.count).toBe(KEPT - 1);
    await cancelled();
    expect(await bench.redis.llen(bench.keys.ends("default"))).toBe(KEPT);
    expect(await ends(from)).toBeUndefined();
    expect((await ends(from + 1))?.count).toBe(KEPT - 1);
  });

  test("what is older than that goes with runs that are deleted", async () => {
    const old = Date.now() - 2 * DAY_MS;
    await note(old, old + 1, old + 2);
    await cancelled();
    await new DeletionStore(bench.client, bench.store).delete({ run: bench.run, tenant: "default", graph: two.graph });
    const [first, ...rest] = await bench.redis.lrange(bench.keys.ends("default"), 0, -1);
    expect(first).toContain(`run-${old + 2}`);
    expect(rest).toEqual([expect.stringContaining(bench.run)]);
  });
});

test("what is stored after a time is found by that, however long before it had happened", async () => {
  const entry = await bench.held();
  const second = newRunId(0);
  await bench.admit(second);
  await bench.commit({ entry, batch: 1, events: ['{"type":"step.output","step":"a"}'] });
  const before = await firehose.time();
  await expect.poll(() => firehose.time()).toBeGreaterThan(before);
  const again = { entry, startedAgoMs: 5_000, batch: 2, events: ['{"type":"step.output","step":"a"}'] };
  await bench.commit(again);
  expect((await firehose.changed(bench.keys, [bench.run, second], before)).map(({ run }) => run)).toEqual([bench.run]);
  const page = await firehose.since(bench.run, before);
  if (!page.found) throw new Error("no run");
  const events = page.lines.map((line, i) => decodeEvent(bench.run, page.first + i, line));
  expect(events.map(({ type }) => type)).toEqual(["run.started", "step.started", "step.output"]);
  expect(Date.parse(events[1]!.at)).toBeLessThan(before);
});
