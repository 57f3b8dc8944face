import { describe, expect, test } from "vitest";
import { InvalidInputError } from "../../../engine/index.ts";
import { cadenceOf, firstTick, parseCadence, sameTimes } from "../../../engine/schedules/cadence.ts";

const NOW = Date.parse("2026-06-01T12:00:00.250Z");

/** The next ticks after a time. */
function ticks(cron: string, timeZone: string, from: string, count: number): string[] {
  const cadence = cadenceOf({ cron, timeZone });
  const found: string[] = [];
  for (let ms = Date.parse(from); found.length < count; ) {
    ms = cadence.after(ms)!;
    found.push(new Date(ms).toISOString().replace(":00.000Z", "Z"));
  }
  return found;
}

describe("where the clocks go forward", () => {
  // Berlin: 2026-03-29 01:00Z, 02:00 becomes 03:00. New York: 2026-03-08 07:00Z, 02:00 becomes 03:00.
  test("a time that is left out comes at the end of the gap, on the same day", () => {
    expect(ticks("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z", 3)).toEqual([
      "2026-03-28T01:30Z",
      "2026-03-29T01:00Z",
      "2026-03-30T00:30Z",
    ]);
    expect(ticks("30 2 * * *", "America/New_York", "2026-03-07T00:00:00Z", 3)).toEqual([
      "2026-03-07T07:30Z",
      "2026-03-08T07:00Z",
      "2026-03-09T06:30Z",
    ]);
  });

  test("so does one of several times of a day", () => {
    expect(ticks("30 2,14 * * *", "Europe/Berlin", "2026-03-28T20:00:00Z", 3)).toEqual([
      "2026-03-29T01:00Z",
      "2026-03-29T12:30Z",
      "2026-03-30T00:30Z",
    ]);
  });

  test("what goes on in real time has nothing in the gap, and no tick twice", () => {
    expect(ticks("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", 4)).toEqual([
      "2026-03-29T00:30Z",
      "2026-03-29T01:00Z",
      "2026-03-29T01:30Z",
      "2026-03-29T02:00Z",
    ]);
    expect(ticks("*/20 2 * * *", "Europe/Berlin", "2026-03-28T01:50:00Z", 1)).toEqual(["2026-03-30T00:00Z"]);
  });
});

describe("where the clocks go back", () => {
  // Berlin: 2026-10-25 01:00Z, 03:00 becomes 02:00. New York: 2026-11-01 06:00Z, 02:00 becomes 01:00.
  test("a time that is there twice comes the first time", () => {
    expect(ticks("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2)).toEqual([
      "2026-10-25T00:30Z",
      "2026-10-26T01:30Z",
    ]);
    expect(ticks("30 1 * * *", "America/New_York", "2026-10-31T12:00:00Z", 2)).toEqual([
      "2026-11-01T05:30Z",
      "2026-11-02T06:30Z",
    ]);
  });

  test("what goes on in real time comes in both hours", () => {
    expect(ticks("30 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", 3)).toEqual([
      "2026-10-25T00:30Z",
      "2026-10-25T01:30Z",
      "2026-10-25T02:30Z",
    ]);
    expect(ticks("*/30 * * * *", "America/New_York", "2026-11-01T05:00:00Z", 4)).toEqual([
      "2026-11-01T05:30Z",
      "2026-11-01T06:00Z",
      "2026-11-01T06:30Z",
      "2026-11-01T07:00Z",
    ]);
  });
});

describe("the last tick up to a time", () => {
  test.each([
    ["* * * * * *", "UTC", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00.999Z", "2026-02-01T00:00:00.000Z"],
    ["30 2 * * *", "Europe/Berlin", "2026-01-01T01:30:00Z", "2026-03-29T23:00:00Z", "2026-03-29T01:00:00.000Z"],
    ["30 2 * * *", "Europe/Berlin", "2026-01-01T01:30:00Z", "2026-10-26T00:00:00Z", "2026-10-25T00:30:00.000Z"],
    ["*/30 * * * *", "Europe/Berlin", "2026-01-01T01:30:00Z", "2026-10-25T01:59:59Z", "2026-10-25T01:30:00.000Z"],
    ["0 0 29 2 *", "UTC", "2028-02-29T00:00:00Z", "2035-01-01T00:00:00Z", "2032-02-29T00:00:00.000Z"],
    ["0 0 * * *", "UTC", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000Z"],
  ])("%s in %s", (cron, timeZone, tick, until, last) => {
    const found = cadenceOf({ cron, timeZone }).last(Date.parse(tick), Date.parse(until));
    expect(new Date(found).toISOString()).toBe(last);
  });

  test("is the one that counting from the first finds", () => {
    const cadence = cadenceOf({ cron: "*/7 1-3 * * *", timeZone: "America/New_York" });
    const first = cadence.after(Date.parse("2026-10-31T00:00:00Z"))!;
    const end = Date.parse("2026-11-02T00:00:00Z");
    let expected = first;
    for (let until = first; until < end; until += 11 * 60_000) {
      for (let next = cadence.after(expected)!; next <= until; next = cadence.after(expected)!) expected = next;
      expect(cadence.last(first, until)).toBe(expected);
    }
  });
});

test("an interval is counted from its anchor, and a single time comes once", () => {
  const every = cadenceOf({ every: 1_500, anchor: 10_000 });
  expect([9_000, 10_000, 11_499, 11_500, 13_100].map(every.after)).toEqual([11_500, 11_500, 11_500, 13_000, 14_500]);
  expect(every.last(11_500, 16_100)).toBe(16_000);
  const once = cadenceOf({ at: 5_000 });
  expect([4_999, 5_000].map(once.after)).toEqual([5_000, undefined]);
  expect(once.last(5_000, 90_000)).toBe(5_000);
});

describe("what a caller says", () => {
  test("is stored with its defaults", () => {
    expect(parseCadence({ cron: "@daily" }, NOW)).toEqual({ cron: "@daily", timeZone: "UTC" });
    expect(parseCadence({ every: 60_000 }, NOW)).toEqual({ every: 60_000, anchor: NOW });
    const at = Date.parse("2026-06-02T07:00:00Z");
    expect(parseCadence({ at: "2026-06-02T09:00:00+02:00" }, NOW)).toEqual({ at });
    expect(parseCadence({ at: new Date(at) }, NOW)).toEqual({ at });
  });

  test.each([
    ["cron", { cron: "every day" }],
    ["cron", { cron: "* * * *" }],
    ["cron", { cron: "60 * * * *" }],
    ["cron", { cron: "0 0 0 1 1 * 2030" }],
    ["cron", { cron: "" }],
    ["cron", { cron: "@reboot" }],
    ["cron", { cron: "2030-01-01T00:00:00" }],
    ["cron", { cron: `${"0,".repeat(100)}0 * * * *` }],
    ["cron", { cron: 5 as never }],
    ["cron", {}],
    ["cron", { cron: "* * * * *", every: 1_000 }],
    ["cron", { cron: "* * * * *", at: "2030-01-01T00:00:00Z" }],
    ["timeZone", { cron: "* * * * *", timeZone: "Mars/Phobos" }],
    ["timeZone", { cron: "* * * * *", timeZone: "" }],
    ["timeZone", { cron: "* * * * *", timeZone: "+02:00" }],
    ["timeZone", { cron: "* * * * *", timeZone: 1 as never }],
    ["timeZone", { every: 1_000, timeZone: "UTC" }],
    ["every", { every: 999 }],
    ["every", { every: 1_000.5 }],
    ["every", { every: Number.NaN }],
    ["every", { every: 400 * 86_400_000 }],
    ["every", { every: "1000" as never }],
    ["at", { at: "tomorrow" }],
    ["at", { at: "2030-01-01T00:00:00" }],
    ["at", { at: "2030-13-01T00:00:00Z" }],
    ["at", { at: new Date("never") }],
    ["at", { at: 5 as never }],
  ])("is refused by the name of the option: %s, %j", (option, options) => {
    let thrown: unknown;
    try {
      parseCadence(options, NOW);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(InvalidInputError);
    expect((thrown as InvalidInputError).issues[0]!.path).toEqual([option]);
    expect((thrown as InvalidInputError).message).toMatch(new RegExp(`^The schedule's ${option}: `));
  });

  test.each(["0 0 30 2 *", "0 0 31 4,6 *"])("is refused if it never comes: %s", (cron) => {
    expect(() => parseCadence({ cron }, NOW)).toThrow("The schedule's cron: It never comes: no date fits.");
  });

  test("is refused if it is over", () => {
    expect(() => firstTick({ at: NOW }, NOW)).toThrow("The schedule's at: 2026-06-01T12:00:00.250Z has passed.");
    expect(firstTick({ at: NOW + 1 }, NOW)).toBe(NOW + 1);
  });
});

test("two say the same times", () => {
  const daily = { cron: "@daily", timeZone: "UTC" };
  const hourly = { every: 3_600_000, anchor: 1 };
  expect(sameTimes(daily, { ...daily })).toBe(true);
  expect(sameTimes(hourly, { ...hourly, anchor: 2 })).toBe(true);
  expect(sameTimes({ at: 1 }, { at: 1 })).toBe(true);
  const others = [{ ...daily, timeZone: "Europe/Berlin" }, { ...daily, cron: "@weekly" }, hourly, { at: 1 }];
  for (const other of others) expect(sameTimes(daily, other)).toBe(false);
  expect(sameTimes(hourly, { every: 1_000, anchor: 1 })).toBe(false);
  expect(sameTimes({ at: 1 }, { at: 2 })).toBe(false);
});
