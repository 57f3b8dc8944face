import { connect } from "../../../engine/index.ts";
import { startMany } from "../contenders/millrace.ts";
import { limited } from "../support/definitions.ts";
import { type Bench, type Child, withBench } from "../support/processes.ts";
import type { Topic } from "../support/report.ts";
import { inTurn } from "../support/rounds.ts";
import { settings } from "../support/settings.ts";
import { tell } from "./told.ts";
import { type Cost, costOf } from "./work.ts";

const FEW = 10;
/** So that of many tenants, too, half of the runs wait for another. */
const RUNS = Math.max(settings.runs, 2 * settings.tenants);

export const tenants: Pick<Topic, "about" | "measure"> = {
  about: [
    `tenants: ${RUNS} runs of one step, whose limit is one at once for each tenant, of ${FEW} and of ${settings.tenants} tenants; the worker has ${FEW} slots`,
  ],
  async measure(report) {
    await withBench(async (bench) => {
      const worker = bench.start("worker");
      const rounds = await inTurn({
        [`${FEW} tenants`]: () => round(bench, worker, FEW),
        [`${settings.tenants} tenants`]: () => round(bench, worker, settings.tenants),
      });
      tell(report, "tenants with limits", "run", rounds, {
        goal: `cost of a limited run with ${settings.tenants} tenants against ${FEW}: 1.1 or less`,
        most: 1.1,
      });
    });
  },
};

async function round(bench: Bench, worker: Child, count: number): Promise<Cost> {
  const { url, redis } = bench;
  await redis.flushall();
  const millrace = await connect({ url, workflows: [limited] });
  await startMany(RUNS, (n) => {
    const tenant = `tenant-${n % count}`;
    return millrace.runs.start(limited, { tenant }, { tenant });
  });
  const before = await worker.call<number>("workedOn");
  const cost = await costOf(bench, worker, RUNS, async () => {
    await worker.call("start", { url, set: "limited", concurrency: FEW });
    while ((await worker.call<number>("workedOn")) - before < RUNS)
      await new Promise((resolve) => setTimeout(resolve, 10));
  });
  await worker.call("stop");
  await millrace.close();
  return cost;
}
