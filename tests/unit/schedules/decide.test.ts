import { describe, expect, test } from "vitest";
import { cadenceOf } from "../../../engine/schedules/cadence.ts";
import {
  decide,
  MISSED_AFTER_MS,
  type Situation,
  TICKS_AT_ONCE,
  WAITING_LIMIT,
} from "../../../engine/schedules/decide.ts";

/** Ticks at 1,000, 2,000, 3,000 … */
const seconds = cadenceOf({ every: 1_000, anchor: 0 });
const times = (from: number, count: number) => Array.from({ length: count }, (_, i) => (from + i) * 1_000);

function decided(situation: Partial<Situation>) {
  const usual: Situation = { now: 1_000, nextTick: 1_000, waiting: [], live: false, overlap: "skip", missed: "latest" };
  return decide({ ...usual, ...situation }, seconds);
}

describe("a tick that is due", () => {
  test("starts its run, by every policy", () => {
    for (const overlap of ["skip", "queue", "allow"] as const)
      for (const missed of ["skip", "latest", "all"] as const)
        expect(decided({ overlap, missed })).toEqual({ start: [1_000], waiting: [], nextTick: 2_000 });
  });

  test("does so a little late as well, also where missed ones are skipped", () => {
    const now = 1_000 + MISSED_AFTER_MS;
    expect(decide({ ...late(now), nextTick: 1_000 }, cadenceOf({ at: 1_000 }))).toEqual({
      start: [1_000],
      waiting: [],
      nextTick: undefined,
    });
  });

  test("is the last of a schedule that ends", () => {
    expect(decide({ ...late(1_000), nextTick: 1_000 }, cadenceOf({ at: 1_000 })).nextTick).toBeUndefined();
  });

  test("before its time does nothing", () => {
    expect(decided({ now: 999 })).toEqual({ start: [], waiting: [], nextTick: 1_000 });
    expect(decided({ nextTick: undefined })).toEqual({ start: [], waiting: [], nextTick: undefined });
  });
});

function late(now: number): Situation {
  return { now, nextTick: 1_000, waiting: [], live: false, overlap: "allow", missed: "skip" };
}

describe("while the last run is live, a tick", () => {
  test("is skipped", () => {
    const skipped = { tick: 1_000, reason: "overlap" };
    expect(decided({ live: true })).toEqual({ start: [], waiting: [], nextTick: 2_000, skipped });
  });

  test("waits, behind those that wait", () => {
    expect(decided({ live: true, overlap: "queue", nextTick: 3_000, now: 3_500, waiting: [1_000, 2_000] })).toEqual({
      ...{ start: [], waiting: [1_000, 2_000, 3_000], nextTick: 4_000 },
    });
  });

  test("is skipped where as many wait as may", () => {
    const waiting = times(1, WAITING_LIMIT);
    const now = (WAITING_LIMIT + 1) * 1_000;
    const skipped = { tick: now, reason: "overlap" };
    expect(decided({ live: true, overlap: "queue", nextTick: now, now, waiting })).toEqual({
      ...{ start: [], waiting, nextTick: now + 1_000, skipped },
    });
  });

  test("starts where that is allowed", () => {
    expect(decided({ live: true, overlap: "allow" })).toMatchObject({ start: [1_000] });
  });
});

describe("once the last run has ended", () => {
  test("the first that waits starts, and no other", () => {
    expect(decided({ overlap: "queue", nextTick: 9_000, waiting: [1_000, 2_000] })).toEqual({
      ...{ start: [1_000], waiting: [2_000], nextTick: 9_000 },
    });
  });

  test("those that waited by an earlier policy start all, or the first alone", () => {
    expect(decided({ overlap: "allow", nextTick: 9_000, waiting: [1_000, 2_000] })).toMatchObject({
      ...{ start: [1_000, 2_000], waiting: [] },
    });
    expect(decided({ overlap: "skip", nextTick: 9_000, waiting: [1_000, 2_000] })).toMatchObject({
      ...{ start: [1_000], waiting: [], skipped: { tick: 2_000, reason: "overlap" } },
    });
  });
});

describe("of ticks that were missed", () => {
  const now = 5_500;

  test("none runs but the latest, if that is not late", () => {
    const skipped = { tick: 1_000, reason: "missed" };
    expect(decided({ now, missed: "skip" })).toEqual({ start: [5_000], waiting: [], nextTick: 6_000, skipped });
  });

  test("none runs if that is late as well", () => {
    const hourly = cadenceOf({ every: 3_600_000, anchor: 0 });
    const after = 2 * 3_600_000 + MISSED_AFTER_MS + 1;
    const skipped = { tick: 3_600_000, reason: "missed" };
    const situation = { ...late(after), nextTick: 3_600_000 };
    const nextTick = 3 * 3_600_000;
    expect(decide(situation, hourly)).toEqual({ start: [], waiting: [], nextTick, skipped });
    expect(decide({ ...situation, missed: "latest" }, hourly)).toEqual({
      ...{ start: [7_200_000], waiting: [], nextTick, skipped },
    });
  });

  test("all run, 100 at a time", () => {
    expect(decided({ now, missed: "all", overlap: "allow" })).toEqual({
      ...{ start: times(1, 5), waiting: [], nextTick: 6_000 },
    });
    const many = decided({ now: 1_000_000, missed: "all", overlap: "allow" });
    expect(many).toEqual({ start: times(1, TICKS_AT_ONCE), waiting: [], nextTick: 101_000 });
  });

  test("all run, one after the other, or the first alone", () => {
    expect(decided({ now, missed: "all", overlap: "queue" })).toEqual({
      ...{ start: [1_000], waiting: times(2, 4), nextTick: 6_000 },
    });
    expect(decided({ now, missed: "all", overlap: "skip" })).toEqual({
      ...{ start: [1_000], waiting: [], nextTick: 6_000, skipped: { tick: 5_000, reason: "overlap" } },
    });
  });
});
