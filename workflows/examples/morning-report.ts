/**
 * A report for each office every working day at seven in the morning of its own time zone, and a look at the figures
 * every ten minutes.
 */
import * as v from "valibot";
import { type Millrace, workflow } from "../../engine/index.ts";

const office = v.object({ city: v.string(), orders: v.array(v.number()) });

export const morningReport = workflow("morning-report", { input: office })
  .step("sum", ({ city, orders }) => ({ city, count: orders.length, total: orders.reduce((a, b) => a + b, 0) }))
  .step("write", ({ city, count, total }) => `${city}: ${count} orders, ${total.toFixed(2)} in all`);

export const checkFigures = workflow("check-figures", { input: v.object({ limit: v.number() }) }).step(
  "check",
  ({ limit }) => ({ ok: limit > 0 }),
);

const offices = [
  { city: "Berlin", timeZone: "Europe/Berlin", orders: [120, 80.5] },
  { city: "Boston", timeZone: "America/New_York", orders: [99.9] },
];

/** Run at each start of the program: schedules that are the same already are left as they are. */
export async function schedule(millrace: Millrace): Promise<void> {
  for (const { city, timeZone, orders } of offices)
    await millrace.schedules.create({
      name: `morning-report-${city}`,
      workflow: morningReport,
      input: { city, orders },
      cron: "0 7 * * MON-FRI",
      timeZone,
      // Of those that were missed only the newest is of use, late as it is.
      missed: "latest",
      metadata: { city },
    });
  await millrace.schedules.create({
    name: "check-figures",
    workflow: checkFigures,
    input: { limit: 10 },
    every: 600_000,
    jitterMs: 30_000,
    missed: "skip",
  });
}
