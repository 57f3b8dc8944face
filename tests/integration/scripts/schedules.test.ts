import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { derivedRunId } from "../../../engine/ids.ts";
import { decodeSchedule, encodeSchedule, type ScheduleRecord } from "../../../engine/schedules/record.ts";
import { ScheduleStore } from "../../../engine/store/schedule-store.ts";
import { Reply } from "../../../engine/store.ts";
import { changes } from "../../support/state.ts";
import { StoreBench, two } from "../../support/store.ts";

let bench: StoreBench;
let schedules: ScheduleStore;
beforeEach(() => {
  bench = new StoreBench();
  schedules = new ScheduleStore(bench.client, bench.store.partitions);
});
afterEach(() => bench.close());

const which = { tenant: "default", name: "nightly" };
const DUE = 1_900_000_000_000;
const record: ScheduleRecord = {
  ...{ status: "active", revision: 7, generation: 7, workflow: "two", cadence: { cron: "@daily", timeZone: "UTC" } },
  ...{ input: '{"n":[]}', metadata: undefined, overlap: "skip", missed: "latest", jitterMs: 0, offset: 0 },
  ...{ priority: undefined, tags: undefined, quota: undefined },
  ...{ createdAt: 1_764_000_000_000, updatedAt: 1_764_000_000_000, nextTick: DUE, lastTick: undefined },
  ...{ lastRun: undefined, starting: [], waiting: [], skipped: undefined, error: undefined },
};
const HASH = {
  ...{
    cadence: '{"cron":"@daily","timeZone":"UTC"}',
    createdAt: "T",
    generation: "7",
    input: '{"n":[]}',
    jitterMs: "0",
  },
  ...{ missed: "latest", nextTick: "T", offset: "0", overlap: "skip", revision: "7", status: "active", updatedAt: "T" },
  workflow: "two",
};

async function write(
  was: ScheduleRecord | undefined,
  becomes: Partial<ScheduleRecord>,
  due: number | undefined | "as-it-is",
) {
  const before = await bench.state();
  const written = await schedules.write(which, was, { ...record, ...becomes }, due);
  return { written, changed: changes(before, await bench.state()) };
}

const KEYS = {
  schedule: () => bench.keys.schedule("default", "nightly"),
  schedules: () => bench.keys.schedules("default"),
  timers: () => bench.keys.timers(),
};
type Key = keyof typeof KEYS;

describe("write-schedule", () => {
  test("a new one is stored, listed and armed", async () => {
    expect(await write(undefined, {}, DUE)).toEqual({
      written: true,
      changed: {
        "schedule:default:nightly": HASH,
        "schedules:default": { nightly: "T" },
        timers: { "tick|default|nightly|7": "T" },
      },
    });
    expect(await bench.redis.zscore(bench.keys.timers(), "tick|default|nightly|7")).toBe(String(DUE));
  });

  test("a new one is refused where there is one", async () => {
    await write(undefined, {}, DUE);
    expect(await write(undefined, { workflow: "other" }, DUE)).toEqual({ written: false, changed: {} });
  });

  test("another generation's row takes the place of the one before; what is not said any more is gone", async () => {
    await write(undefined, { lastTick: DUE, waiting: [DUE], metadata: "{}" }, DUE);
    const { written, changed } = await write(record, { revision: 8, generation: 8 }, DUE);
    expect(written).toBe(true);
    expect(changed).toEqual({
      "schedule:default:nightly": { ...HASH, revision: "8", generation: "8" },
      timers: { "tick|default|nightly|8": "T" },
    });
  });

  test("a paused one has no row", async () => {
    await write(undefined, {}, DUE);
    const { changed } = await write(record, { status: "paused", nextTick: undefined, revision: 8 }, undefined);
    const { nextTick: _, ...paused } = HASH;
    expect(changed).toEqual({
      "schedule:default:nightly": { ...paused, revision: "8", status: "paused" },
      timers: "gone",
    });
  });

  test("a row in a worker's hands stays as it is", async () => {
    await write(undefined, {}, DUE);
    const { changed } = await write(record, { revision: 8, starting: [DUE, DUE] }, "as-it-is");
    expect(changed).toEqual({ "schedule:default:nightly": { ...HASH, revision: "8", starting: "T T" } });
  });

  test.each([
    ["was changed", { revision: 8 }],
    ["was made anew", { revision: 6 }],
  ])("one that %s is left alone", async (_, stored) => {
    await write(undefined, stored, DUE);
    expect(await write(record, { revision: 9 }, 1)).toEqual({ written: false, changed: {} });
  });

  test("one that is gone stays so", async () => {
    expect(await write(record, { revision: 8 }, DUE)).toEqual({ written: false, changed: {} });
  });

  test.each(Object.keys(KEYS) as Key[])("a key of the wrong type refuses it: %s", async (key) => {
    await bench.redis.set(KEYS[key](), "not ours");
    const before = await bench.state();
    await expect(schedules.write(which, undefined, record, DUE)).rejects.toMatchObject({ code: "wrong_type" });
    expect(await bench.state()).toEqual(before);
  });
});

describe("write-schedule of one whose ticks wait for a run", () => {
  const row = "tick|default|nightly|7";
  let run: string;
  beforeEach(async () => {
    run = await derivedRunId(0, ["nightly", DUE]);
    await bench.admit(run);
    await schedules.write(which, undefined, record, DUE);
  });
  const waits = async (changed: Partial<ScheduleRecord> = {}) =>
    write(record, { ...record, revision: 8, overlap: "queue", waiting: [DUE], lastRun: run, ...changed }, DUE);
  const due = async () => Number(await bench.redis.zscore(bench.keys.timers(), row));
  const isDue = async () => expect(Math.abs((await due()) - Date.now())).toBeLessThan(5_000);
  const cancelled = () => bench.store.cancel(run, two.graph, "default");

  test("the run remembers its row, and its end makes that due", async () => {
    expect((await waits()).written).toBe(true);
    expect(await bench.redis.hget(bench.keys.run(run), "tick")).toBe(row);
    expect(await due()).toBe(DUE);
    expect(await cancelled()).toBe(Reply.Done);
    await isDue();
  });

  test("a run that completes says so to its worker, which looks at once", async () => {
    await waits();
    for (const step of ["a", "b"]) {
      const entry = await bench.next(step);
      const next = step === "a" ? { next: "b" } : {};
      const reply = await bench.commit({ entry, startedAgoMs: 0, end: { kind: "complete", output: "1", ...next } });
      expect(reply).toBe(step === "a" ? Reply.Done : Reply.DoneAndDue);
    }
    await isDue();
  });

  test.each(["has ended", "is gone"])("one that %s by then has the row due at once", async (how) => {
    if (how === "has ended") await cancelled();
    else await bench.redis.del(bench.keys.run(run));
    expect((await waits()).written).toBe(true);
    await isDue();
    expect(await bench.redis.hexists(bench.keys.run(run), "tick")).toBe(0);
  });

  test("a run that nothing waits for, or that is yet to be started, is left alone", async () => {
    expect((await waits({ overlap: "allow" })).changed).not.toHaveProperty("timers");
    expect(await bench.redis.hexists(bench.keys.run(run), "tick")).toBe(0);
    await schedules.write(which, { ...record, revision: 8 }, { ...record, revision: 9, starting: [DUE] }, "as-it-is");
    expect(await bench.redis.hexists(bench.keys.run(run), "tick")).toBe(0);
    await cancelled();
    expect(await due()).toBe(DUE);
  });

  test("the row of another generation takes the place of the one that it remembers", async () => {
    await waits();
    const was = { ...record, revision: 8 };
    const becomes = { ...was, revision: 9, generation: 9, overlap: "queue", waiting: [DUE], lastRun: run } as const;
    expect(await schedules.write(which, was, becomes, DUE)).toBe(true);
    expect(await bench.redis.hget(bench.keys.run(run), "tick")).toBe("tick|default|nightly|9");
  });

  test("a run of the wrong type refuses it", async () => {
    await bench.redis.del(bench.keys.run(run));
    await bench.redis.set(bench.keys.run(run), "not ours");
    const before = await bench.state();
    await expect(waits()).rejects.toMatchObject({ code: "wrong_type" });
    expect(await bench.state()).toEqual(before);
  });
});

describe("delete-schedule", () => {
  test("nothing is left", async () => {
    await write(undefined, {}, DUE);
    expect(await schedules.delete(which, record)).toBe(true);
    expect(await bench.state()).toEqual({});
  });

  test.each([
    ["was changed", { revision: 8 }],
    ["is gone", undefined],
  ])("one that %s is left alone", async (_, stored) => {
    if (stored !== undefined) await write(undefined, stored, DUE);
    const before = await bench.state();
    expect(await schedules.delete(which, record)).toBe(false);
    expect(await bench.state()).toEqual(before);
  });

  test.each(Object.keys(KEYS) as Key[])("a key of the wrong type refuses it: %s", async (key) => {
    await write(undefined, {}, DUE);
    await bench.redis.del(KEYS[key]());
    await bench.redis.set(KEYS[key](), "not ours");
    const before = await bench.state();
    await expect(schedules.delete(which, record)).rejects.toMatchObject({ code: "wrong_type" });
    expect(await bench.state()).toEqual(before);
  });
});

describe("read-schedule", () => {
  test("gives what was written, and the server's time", async () => {
    const full: ScheduleRecord = {
      ...record,
      ...{ metadata: '{"a":[]}', lastTick: 1, lastRun: "R", starting: [1, 2], waiting: [3] },
      ...{ skipped: { tick: 4, reason: "missed" }, error: { tick: 5, code: "c", message: "m" } },
    };
    await schedules.write(which, undefined, full, DUE);
    const { now, schedule } = await schedules.read(which);
    expect(schedule).toEqual(full);
    expect(Math.abs(now - Date.now())).toBeLessThan(5_000);
    expect(decodeSchedule(encodeSchedule(full))).toEqual(full);
  });

  test("of one that is not there gives the time", async () => {
    expect(await schedules.read(which)).toEqual({ now: expect.any(Number) });
    expect(await schedules.readAll("default", ["nightly"])).toEqual([undefined]);
  });

  test("of another type is refused", async () => {
    await bench.redis.set(KEYS.schedule(), "not ours");
    await expect(schedules.read(which)).rejects.toMatchObject({ code: "wrong_type" });
  });
});
