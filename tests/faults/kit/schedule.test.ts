import { expect, test } from "vitest";
import { Random } from "../../support/faults/random.ts";
import { Schedule } from "../../support/faults/schedule.ts";

const faults = ["a", "b", "c"].map((name) => ({
  name,
  inject: async (random: Random) => `for ${random.whole(1, 100)} ms`,
}));
const names = (schedule: Schedule) => String(schedule).replaceAll(/\d{4}-\S+ /g, "");

test("a seed repeats the schedule, and another makes another", async () => {
  const [first, again, other] = [new Schedule(10, 7), new Schedule(10, 7), new Schedule(10, 8)];
  for (const schedule of [first, again, other]) await schedule.run(faults, async () => {});
  expect(names(first)).toMatch(/^SEED=7, 10 of 10 faults:\n {2}[abc]: for \d+ ms\n/);
  expect(names(again)).toBe(names(first));
  expect(names(other)).not.toBe(names(first));
});

test("numbers are whole, within their bounds, and reach both", () => {
  const random = new Random(1);
  const seen = new Set(Array.from({ length: 200 }, () => random.whole(3, 5)));
  expect([...seen].sort()).toEqual([3, 4, 5]);
});

test("a test that has injected fewer faults than planned fails, and says with which seed", () => {
  const schedule = new Schedule(2, 7);
  schedule.note("one");
  const said = /^1 faults were planned and not injected. SEED=7, 1 of 2 faults:\n {2}\S+ one$/;
  expect(() => schedule.complete()).toThrow(said);
  schedule.note("two");
  schedule.complete();
});

test("a fault that cannot be injected fails the test with what had been injected by then", async () => {
  const schedule = new Schedule(2, 7);
  schedule.note("one");
  const broken = { name: "broken", inject: () => Promise.reject(new Error("no")) };
  const running = schedule.run([broken], async () => {});
  await expect(running).rejects.toThrow(/^A fault could not be injected. SEED=7, 1 of 2 faults:/);
});
