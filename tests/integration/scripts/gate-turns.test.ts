import { afterEach, describe, expect, test } from "vitest";
import type { Limits } from "../../../engine/index.ts";
import { Reply } from "../../../engine/store.ts";
import { GateBench } from "../../support/gate-bench.ts";

const done = { kind: "complete", output: "1" } as const;

let bench: GateBench;
afterEach(() => bench.close());

async function open(limits: Limits<unknown>): Promise<void> {
  bench = await new GateBench(limits).open();
}

const key = {
  gate: () => bench.keys.gate(bench.workflow.graph, "work"),
  waiting: () => bench.keys.gateWaiting(bench.workflow.graph, "work"),
};

/** ONE is at work, TWO waits behind it. */
async function two() {
  await open({ key: String, concurrency: 1 });
  return bench.two();
}

describe("those that wait for a limit over all", () => {
  test("start round the keys, each key in the order in which its runs came", async () => {
    await open({ key: String, total: { concurrency: 1 } });
    for (const [i, each] of ["a", "a", "a", "b", "b", "c"].entries()) await bench.come(each, `${each}${i}`);
    const order: string[] = [];
    for (let n = 0; n < 6; n += 1) {
      const [entry] = await bench.take(bench.passed);
      order.push(Object.keys(bench.names).find((name) => bench.names[name] === entry!.run)!);
      await bench.commit({ entry: entry!, startedAgoMs: 0, end: done });
    }
    expect(order).toEqual(["a0", "a1", "b3", "c5", "a2", "b4"]);
  });
});

describe("turn-gate", () => {
  const turn = () => bench.gates.turn(bench.keys, bench.workflow.graph, "work");

  test("takes the slots of runs that are gone or have ended", async () => {
    await two();
    await bench.redis.unlink(bench.keys.run(bench.names.ONE!));
    await bench.client.call("DEL", bench.keys.timers());
    expect(await bench.change(turn)).toMatchObject({ "gate:flow@1:work:held": { "a|TWO|": "0" } });
  });

  test("sets its row anew while something waits, and not else", async () => {
    await two();
    expect(await turn()).toBeUndefined();
    expect(await bench.redis.zcard(bench.keys.timers())).toBe(1);
    await bench.store.cancel(bench.names.TWO!, bench.workflow.graph, "default");
    await turn();
    expect(await bench.redis.zcard(bench.keys.timers())).toBe(0);
  });

  test("starts a hundred at most, and is due again for the others", async () => {
    await open({ key: String, total: { concurrency: 1 } });
    for (let n = 0; n < 130; n += 1) await bench.admit();
    let keys = 0;
    for (let entries = -1; entries !== 0; ) entries = (await bench.gate(() => `k${keys++ % 7}`)).length;
    await bench.redis.hset(key.gate(), "limits", "- - - - - - - -");
    await turn();
    expect(await bench.redis.zcard(key.waiting())).toBe(29);
    expect((await bench.timers.dueTimers(1)).due).toEqual([
      { kind: "gate", workflow: "flow", version: "1", step: "work" },
    ]);
    await bench.tick();
    expect(await bench.redis.zcard(key.waiting())).toBe(0);
  });

  test("with a key of another type it is tried again in a minute", async () => {
    await two();
    await bench.redis.unlink(key.waiting());
    await bench.redis.set(key.waiting(), "not ours");
    expect(await turn()).toBe(60_000);
  });
});

describe("set-limits", () => {
  const set = (limits: Limits<unknown>) =>
    bench.gates.setLimits(bench.workflow.graph, "work", { key: undefined, own: limits, total: {} });

  test("the same as before change nothing", async () => {
    await two();
    expect(await bench.change(async () => expect(await set({ concurrency: 1 })).toEqual([Reply.Already]))).toEqual({});
  });

  test("others have all that waits looked at", async () => {
    await two();
    expect(await bench.change(async () => expect(await set({ concurrency: 2 })).toEqual([Reply.Done]))).toEqual({
      "gate:flow@1:work": expect.objectContaining({ limits: "2 - - - - - - -", looked: "" }),
    });
    expect((await bench.timers.dueTimers(1)).due).toHaveLength(1);
    expect(await bench.change(() => bench.tick())).toMatchObject({
      "gate:flow@1:work:held": { "a|ONE|": "0", "a|TWO|": "0" },
      timers: "gone",
    });
  });

  test("with a key of another type nothing is written", async () => {
    await open({ concurrency: 1 });
    await bench.redis.set(key.waiting(), "not ours");
    expect(await bench.change(async () => expect(await set({ concurrency: 2 })).toEqual([Reply.WrongType]))).toEqual(
      {},
    );
  });
});
