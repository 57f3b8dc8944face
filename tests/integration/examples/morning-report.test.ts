import { afterEach, beforeEach, expect, test } from "vitest";
import { checkFigures, morningReport, schedule } from "../../../workflows/examples/morning-report.ts";
import { type EngineUnderTest, engineUnderTest } from "../../support/engine-under-test.ts";
import { eventually } from "../../support/gateway.ts";
import { ScheduleBench } from "../../support/schedules.ts";

let engine: EngineUnderTest;
beforeEach(async () => {
  engine = await engineUnderTest([morningReport, checkFigures], { partitions: 1 });
  await schedule(engine.millrace);
});
afterEach(() => engine[Symbol.asyncDispose]());

/** The day and the time of a tick in a zone. */
function clock(tick: string, timeZone: string): string {
  const parts = { timeZone, weekday: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" } as const;
  return new Intl.DateTimeFormat("en-GB", parts).format(new Date(tick));
}

test("each office's report is due at seven of a working day there", async () => {
  const { data } = await engine.millrace.schedules.list();
  const next = Object.fromEntries(data.map(({ name, nextTick }) => [name, nextTick!]));
  expect(Object.keys(next).sort()).toEqual(["check-figures", "morning-report-Berlin", "morning-report-Boston"]);
  expect(clock(next["morning-report-Berlin"]!, "Europe/Berlin")).toMatch(/^(Mon|Tue|Wed|Thu|Fri),? 07:00$/);
  expect(clock(next["morning-report-Boston"]!, "America/New_York")).toMatch(/^(Mon|Tue|Wed|Thu|Fri),? 07:00$/);
  await schedule(engine.millrace);
  expect((await engine.millrace.schedules.list()).data).toEqual(data);
});

test("a report is made when it is due", async () => {
  const bench = new ScheduleBench(engine);
  const tick = Date.now() - 1_000;
  await bench.due("morning-report-Berlin", tick);
  await engine.worker();
  const { lastRun } = await eventually(
    () => bench.get("morning-report-Berlin"),
    (found) => found.lastRun !== undefined,
  );
  // That it is to be started is stored before it is.
  const started = () => engine.millrace.runs.get(lastRun!).catch(() => undefined);
  await eventually(started, (run) => run !== undefined);
  expect(await engine.ended(lastRun!)).toMatchObject({
    output: "Berlin: 2 orders, 200.50 in all",
    metadata: { city: "Berlin", schedule: "morning-report-Berlin", tick: expect.any(String) },
  });
});
