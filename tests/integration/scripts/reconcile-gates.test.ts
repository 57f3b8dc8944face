import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Entry } from "../../../engine/entry.ts";
import type { Found } from "../../../engine/store/reconcile-store.ts";
import { Reply } from "../../../engine/store.ts";
import { ensureGroups } from "../../../engine/streams.ts";
import { GateBench } from "../../support/gate-bench.ts";
import { NOTHING, ONE_PLACE, reconcileStore } from "../../support/reconcile.ts";
import type { Changes } from "../../support/state.ts";

let bench: GateBench;
let first: Entry;
beforeEach(async () => {
  bench = await new GateBench({ concurrency: 1 }).open();
  first = await bench.two();
});
afterEach(() => bench.close());

const key = () => {
  const { keys, workflow } = bench;
  const of = [workflow.graph, "work"] as const;
  return {
    gate: keys.gate(...of),
    waiting: keys.gateWaiting(...of),
    held: keys.gateHeld(...of),
    turns: keys.gateTurns(...of),
  };
};

/** What looking at both runs changes, checked to have found so much. */
function looked(found: Found): Promise<Changes> {
  const ids = [bench.names.ONE!, bench.names.TWO!];
  return bench.change(async () => {
    const store = reconcileStore(bench, bench.workflow.graph);
    expect(await store.reconcile("default", ids, Date.now())).toEqual(found);
  });
}
const recordOf = (name: string) => bench.redis.hget(bench.keys.run(bench.names[name]!), "step:work");

describe("a step with limits", () => {
  test("that has a slot, or a ticket, stays", async () => {
    expect(await looked(NOTHING)).toEqual({});
  });

  test("whose ticket is gone is back before the gate, and its run is at work", async () => {
    await bench.redis.del(key().waiting);
    const changed = await looked(ONE_PLACE);
    expect(changed).toMatchObject({
      "run:TWO": { status: "queued", active: "1", "step:work": "queued 1 0 0 E2 - - 0" },
      "step:flow@1:work": ["E2 run=TWO tenant=default input="],
    });
    expect(await bench.redis.zscore(bench.keys.runsByStatus("default", "queued"), bench.names.TWO!)).not.toBeNull();
    expect(await bench.redis.zcard(bench.keys.runsByStatus("default", "waiting"))).toBe(0);
    expect(await bench.gate(() => "a")).toEqual([Reply.Done]);
    expect(await recordOf("TWO")).toMatch(/^waiting 1 0 0 gate:a\|/);
  });

  test("that was let in and not begun yet stays: its record has the ticket still", async () => {
    await bench.commit({ entry: first, end: { kind: "complete", output: "1" } });
    expect(await recordOf("TWO")).toMatch(/gate:/);
    expect(await looked(NOTHING)).toEqual({});
    await bench.take(bench.passed);
    expect(await looked(NOTHING)).toEqual({});
  });

  test("that was let in, and whose entry is gone, is back before the gate without its slot", async () => {
    await bench.commit({ entry: first, end: { kind: "complete", output: "1" } });
    await bench.redis.del(bench.passed.key);
    expect(await looked(ONE_PLACE)).toMatchObject({
      "run:TWO": { status: "queued", active: "1" },
      "gate:flow@1:work:held": "gone",
      "step:flow@1:work": ["E1 run=TWO tenant=default input="],
    });
    expect(await bench.redis.zcard(key().held)).toBe(0);
  });

  test("whose entry with a slot is gone gives that to the next, and is back before the gate", async () => {
    await bench.redis.del(bench.passed.key);
    expect(await looked(ONE_PLACE)).toMatchObject({
      "run:ONE": { "step:work": "queued 1 0 0 E1 - - 0" },
      "gate:flow@1:work:held": { "a|TWO|": "0" },
      "gate:flow@1:work:waiting": "gone",
      "step:flow@1:work": ["E1 run=ONE tenant=default input="],
    });
    expect(await bench.commit({ entry: first, end: { kind: "complete", output: "1" } })).toBe(Reply.NotOwner);
    await ensureGroups(bench.client, [bench.passed]);
    const [entry] = await bench.take(bench.passed);
    expect(entry?.run).toBe(bench.names.TWO);
  });

  test("whose gate has lost whose turn it is, and who holds what, starts all the same", async () => {
    await bench.redis.del(key().turns, key().held, bench.passed.key);
    await bench.redis.hdel(key().gate, `h ${bench.names.ONE} `);
    await looked(ONE_PLACE);
    await ensureGroups(bench.client, [bench.passed]);
    const [entry] = await bench.take(bench.passed);
    expect(entry?.run).toBe(bench.names.TWO);
  });

  test("whose gate's limits are gone has them again from a process that has the definition", async () => {
    const was = await bench.redis.hget(key().gate, "limits");
    await bench.redis.del(key().gate);
    await bench.gates.restore([bench.before, bench.passed]);
    expect(await bench.redis.hget(key().gate, "limits")).toBe(was);
  });
});
