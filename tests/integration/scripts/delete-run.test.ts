import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { deadLetterId, newRunId } from "../../../engine/ids.ts";
import { DEFAULT_RETENTION } from "../../../engine/retention-policy.ts";
import { DeletionStore } from "../../../engine/store/deletion-store.ts";
import { RetentionStore } from "../../../engine/store/retention-store.ts";
import { limitRows } from "../../../engine/store/start-terms.ts";
import { Reply } from "../../../engine/store.ts";
import { changes } from "../../support/state.ts";
import { StoreBench, two } from "../../support/store.ts";

let bench: StoreBench;
let deletion: DeletionStore;
beforeEach(() => {
  bench = new StoreBench();
  deletion = new DeletionStore(bench.client, bench.store);
});
afterEach(() => bench.close());

const place = (run = bench.run, tenant = "default") => ({ run, tenant, graph: two.graph });

async function change(act: () => Promise<Reply>, expected: Reply) {
  const before = await bench.state();
  expect(await act()).toBe(expected);
  return changes(before, await bench.state());
}

describe("delete-run", () => {
  test("a cancelled run: record, log and index rows are gone", async () => {
    await bench.admit();
    await bench.store.cancel(bench.run, two.graph, "default");
    expect(await change(() => deletion.delete(place()), Reply.Done)).toEqual({
      "log:RUN": "gone",
      "run:RUN": "gone",
      "runs:default:status:cancelled": "gone",
      "runs:default:workflow:two": "gone",
    });
  });

  test("a failed run: its dead letter is gone with it, and another's is not", async () => {
    const other = newRunId(0);
    await bench.admit(other);
    const [first] = await bench.take("a");
    await bench.fail(first!);
    await bench.fail(await bench.held());
    const before = await bench.state({ OTHER: other });
    expect(await deletion.delete(place())).toBe(Reply.Done);
    const after = await bench.state({ OTHER: other });
    expect(before["dead:two@1:a"]).toHaveLength(2);
    const { "run:OTHER": _, ...changed } = changes(before, after);
    expect(changed).toEqual({
      "dead-letters:default": { [deadLetterId("OTHER", "E1")]: "T" },
      "dead:two@1:a": [expect.stringContaining("run=OTHER ")],
      "log:RUN": "gone",
      "run:RUN": "gone",
      "runs:default:status:failed": { OTHER: "T" },
      "runs:default:workflow:two": { OTHER: "T" },
    });
  });

  test("the timers of its limits are gone with it, and another's are not", async () => {
    const entry = await bench.held();
    const other = newRunId(0);
    for (const run of [bench.run, other])
      for (const row of limitRows(run, two.graph)) await bench.redis.zadd(bench.keys.timers(), 1_900_000_000_000, row);
    await bench.fail(entry);
    expect(await bench.redis.zcard(bench.keys.timers())).toBe(4);
    expect(await deletion.delete(place())).toBe(Reply.Done);
    expect(await bench.redis.zrange(bench.keys.timers(), "0", "-1")).toEqual([...limitRows(other, two.graph)].sort());
  });

  test("what the run has remembered is gone with it", async () => {
    const entry = await bench.held();
    await bench.memos.remember(entry, "paid", "1");
    await bench.fail(entry);
    expect(await change(() => deletion.delete(place()), Reply.Done)).toMatchObject({ "memos:RUN": "gone" });
  });

  test("blobs that are still to be deleted are a timer row until they are", async () => {
    await bench.admit();
    await bench.store.cancel(bench.run, two.graph, "default");
    expect(await change(() => deletion.delete(place(), "", 60_000), Reply.Done)).toMatchObject({
      timers: { "delete|default|RUN|": "T" },
    });
    const { due, nextMs } = await bench.timers.dueTimers(100);
    expect([due, Math.round(nextMs! / 10_000)]).toEqual([[], 6]);
    await deletion.settle("default", bench.run);
    expect(await bench.state()).toEqual({ "step:two@1:a": [], "ends:default": ["T RUN two"] });
  });

  test("a live run, one that ended at another time, another tenant's, or none: nothing happens", async () => {
    const entry = await bench.held();
    expect(await change(() => deletion.delete(place()), Reply.Stale)).toEqual({});
    await bench.commit({ entry, startedAgoMs: 0 });
    expect(await change(() => deletion.delete(place()), Reply.Stale)).toEqual({});
    await bench.fail(entry);
    expect(await change(() => deletion.delete({ ...place(), endedAt: 1 }), Reply.Stale)).toEqual({});
    expect(await change(() => deletion.delete(place(bench.run, "acme")), Reply.UnknownRun)).toEqual({});
    expect(await change(() => deletion.delete(place(newRunId(0))), Reply.UnknownRun)).toEqual({});
    const endedAt = Number(await bench.redis.hget(bench.keys.run(bench.run), "endedAt"));
    expect(await deletion.delete({ ...place(), endedAt })).toBe(Reply.Done);
    expect(await change(() => deletion.delete(place()), Reply.UnknownRun)).toEqual({});
  });

  test.each(["log", "timers", "index", "workflow", "letters", "dead", "memos", "ends"])(
    "a key of the wrong type refuses it: %s",
    async (which) => {
      await bench.fail(await bench.held());
      const { keys, run, redis } = bench;
      const key = {
        log: keys.log(run),
        timers: keys.timers(),
        index: keys.runsByStatus("default", "cancelled"),
        workflow: keys.runsByWorkflow("default", "two"),
        letters: keys.deadLetters("default"),
        memos: keys.memos(run),
        ends: keys.ends("default"),
        dead: keys.dead(two.graph, "b"),
      }[which]!;
      await redis.del(key);
      await redis.set(key, "not ours");
      expect(await change(() => deletion.delete(place()), Reply.WrongType)).toEqual({});
    },
  );
});

describe("set-retention", () => {
  const forever = { ...DEFAULT_RETENTION, ageMs: Number.POSITIVE_INFINITY };
  const few = { ...DEFAULT_RETENTION, count: 3 };

  test("stores what is not stored so, and leaves other workflows alone", async () => {
    const store = new RetentionStore(bench.client, bench.store.keys, bench.keys);
    await store.publish(new Map([["a", forever]]));
    await store.publish(new Map([["b", few]]));
    await store.publish(new Map());
    const policyOf = await store.policies();
    expect([policyOf("a"), policyOf("b"), policyOf("c")]).toEqual([forever, few, DEFAULT_RETENTION]);
    await store.publish(new Map([["a", few]]));
    expect((await store.policies())("a")).toEqual(few);
  });

  test("a key of the wrong type is left alone", async () => {
    const store = new RetentionStore(bench.client, bench.store.keys, bench.keys);
    await bench.redis.set(bench.store.keys.retention(), "not ours");
    await expect(store.publish(new Map([["a", few]]))).rejects.toThrow("WRONGTYPE");
    expect(await bench.redis.get(bench.store.keys.retention())).toBe("not ours");
  });
});

describe("hold-sweep", () => {
  const store = () => new RetentionStore(bench.client, bench.store.keys, bench.keys);

  test("is one process's until its time is over or it lets go, and the next goes on where it was", async () => {
    const held = await store().hold("ann", 60_000);
    expect(held).toEqual({ now: expect.any(Number), position: "" });
    expect(await store().hold("bob", 60_000)).toBeUndefined();
    expect(await store().hold("ann", 60_000, "default two 5")).toMatchObject({ position: "default two 5" });
    expect(await bench.state()).toEqual({ sweep: { owner: "ann", position: "default two 5", until: "T" } });
    expect(await store().hold("bob", 60_000, "")).toBeUndefined();
    await store().hold("ann", 0);
    expect(await store().hold("bob", 60_000)).toMatchObject({ position: "default two 5" });
    expect(await store().hold("ann", 60_000)).toBeUndefined();
  });

  test("a key of the wrong type is an error", async () => {
    await bench.redis.set(bench.keys.sweep(), "not ours");
    await expect(store().hold("ann", 1)).rejects.toThrow("WRONGTYPE");
  });
});
