import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { OperationStore } from "../../../engine/store/operation-store.ts";
import { changes } from "../../support/state.ts";
import { StoreBench } from "../../support/store.ts";

let bench: StoreBench;
let operations: OperationStore;
beforeEach(() => {
  bench = new StoreBench();
  operations = new OperationStore(bench.client, bench.store.partitions);
});
afterEach(() => bench.close());

const asked = { id: "O", tenant: "default", kind: "replay", filter: '{"step":"a"}', limit: undefined } as const;
const fields = { ...{ kind: "replay", tenant: "default", filter: '{"step":"a"}', limit: "", createdAt: "T" } };

describe("start-operation", () => {
  test("it is stored, and its timer row is due when its caller's time is over", async () => {
    const until = await operations.start(asked, 30_000);
    expect(until).toBeGreaterThan(Date.now() + 20_000);
    expect(await bench.state()).toEqual({
      "operation:O": { ...fields, cursor: "start", matched: "0", done: "0" },
      timers: { "bulk|O": "T" },
    });
    await operations.settleRow("O", until!, 0);
    expect((await bench.timers.dueTimers(10)).due).toEqual([{ kind: "bulk", operation: "O" }]);
  });

  test("one that is there goes on as it is", async () => {
    const until = await operations.start(asked, 30_000);
    await operations.advance("O", "start", "next", 5, 4);
    const before = await bench.state();
    expect(await operations.start({ ...asked, kind: "discard" }, 90_000)).toBe(until);
    await operations.settleRow("O", until!, undefined);
    expect(await operations.start(asked, 30_000)).toBeUndefined();
    expect(changes(before, await bench.state())).toEqual({ timers: "gone" });
  });

  test.each(["operation:O", "timers"])("a key of the wrong type refuses it: %s", async (which) => {
    await bench.redis.set(which === "timers" ? bench.keys.timers() : bench.keys.operation("O"), "not ours");
    const before = await bench.state();
    await expect(operations.start(asked, 1)).rejects.toThrow("WRONGTYPE");
    expect(await bench.state()).toEqual(before);
  });
});

describe("advance-operation", () => {
  const change = async (from: string, to: string | undefined, expected: boolean) => {
    const before = await bench.state();
    expect(await operations.advance("O", from, to, 5, 4)).toBe(expected);
    return changes(before, await bench.state());
  };

  test("a part of it is counted once, and its end is kept", async () => {
    await operations.start(asked, 1);
    expect(await change("start", "next", true)).toEqual({
      "operation:O": { ...fields, cursor: "next", matched: "5", done: "4" },
    });
    expect(await change("start", "next", false)).toEqual({});
    expect(await change("next", undefined, true)).toEqual({
      "operation:O": { ...fields, cursor: "", matched: "10", done: "8", endedAt: "T" },
    });
    expect(await change("", "more", false)).toEqual({});
    const { record, now } = await operations.read("O");
    expect(record).toMatchObject({ id: "O", matched: 10, done: 8, limit: undefined, createdAt: expect.any(Number) });
    expect(now).toBeGreaterThanOrEqual(record!.endedAt!);
    await operations.delete("O");
    expect((await operations.read("O")).record).toBeUndefined();
  });

  test("there is none, or its key is of another type", async () => {
    expect(await change("start", "next", false)).toEqual({});
    await bench.redis.set(bench.keys.operation("O"), "not ours");
    expect(await change("start", "next", false)).toEqual({});
  });
});
