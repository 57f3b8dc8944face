import { connect } from "../../../engine/index.ts";
import { completedIndex, startMany } from "../contenders/millrace.ts";
import { definitionsOf } from "../support/definitions.ts";
import { type Bench, type Child, withBench } from "../support/processes.ts";
import type { Topic } from "../support/report.ts";
import { inTurn } from "../support/rounds.ts";
import { tell } from "./told.ts";
import { type Cost, costOf, untilCount } from "./work.ts";

const ITEMS = 10_000;
const SHAPES = { "1,000 maps of 10 items": 10, "a map of 10,000 items": ITEMS };

export const items: Pick<Topic, "about" | "measure"> = {
  about: ["items: what an item of a map costs in a run of ten and in one of ten thousand"],
  async measure(report) {
    await withBench(async (bench) => {
      const worker = bench.start("worker");
      const [small, large] = Object.entries(SHAPES).map(([name, each]) => [name, () => round(bench, worker, each)]);
      const rounds = await inTurn(Object.fromEntries([small!, large!]) as Record<string, () => Promise<Cost>>);
      const goal = { goal: "cost of an item in a map of 10,000 against one of 10: 1.1 or less", most: 1.1 };
      tell(report, "items of maps", "item", rounds, goal);
    });
  },
};

/** @param each items of a run */
async function round(bench: Bench, worker: Child, each: number): Promise<Cost> {
  const { url, redis } = bench;
  await redis.flushall();
  const runs = ITEMS / each;
  const millrace = await connect({ url, workflows: definitionsOf("squares") });
  await startMany(runs, () => millrace.runs.start("squares", each));
  const cost = await costOf(bench, worker, ITEMS, async () => {
    await worker.call("start", { url, set: "squares", concurrency: 200 });
    await untilCount(bench, completedIndex(), runs);
  });
  await worker.call("stop");
  await millrace.close();
  return cost;
}
