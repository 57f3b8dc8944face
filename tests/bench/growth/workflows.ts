import { connect } from "../../../engine/index.ts";
import { completedIndex, startMany } from "../contenders/millrace.ts";
import { manyOf } from "../support/definitions.ts";
import { oneByOne } from "../support/http.ts";
import { type Bench, type Child, withBench } from "../support/processes.ts";
import { median, quantile, spread } from "../support/quantile.ts";
import { redisCpuS } from "../support/redis.ts";
import type { Topic } from "../support/report.ts";
import { inTurn } from "../support/rounds.ts";
import { settings } from "../support/settings.ts";
import { tell } from "./told.ts";
import { type Cost, costOf, untilCount } from "./work.ts";

const STEPS = 5;
const MANY = 200;
const IDLE_MS = 2_000;

interface Round {
  cost: Cost;
  idleMs: number[];
  /** How much of a second Redis computes while there is nothing to do, in ms. */
  idleCpuMs: number;
}

export const workflows: Pick<Topic, "about" | "measure"> = {
  about: [
    `workflows: ${Math.ceil(settings.runs / 2)} runs of five steps, of one workflow and of ${MANY}, on one worker; then ${settings.calls} runs one at a time, and ${IDLE_MS / 1_000} s of nothing`,
  ],
  async measure(report) {
    await withBench(async (bench) => {
      const worker = bench.start("worker");
      const names = { one: "1 workflow", many: `${MANY} workflows` };
      const rounds = await inTurn({
        [names.one]: () => round(bench, worker, 1),
        [names.many]: () => round(bench, worker, MANY),
      });
      const costs = Object.fromEntries(
        Object.entries(rounds).map(([name, all]) => [name, all.map(({ cost }) => cost)]),
      );
      const against = `${MANY} workflows of five steps against 1`;
      tell(report, "many workflows on one worker", "step", costs, {
        goal: `cost of a step with ${against}: 1.1 or less`,
        most: 1.1,
      });
      report.details(
        "a run by itself, and nothing to do",
        Object.entries(rounds).map(([name, all]) => ({
          worker: name,
          "p50 ms": quantile(
            all.flatMap(({ idleMs }) => idleMs),
            0.5,
          ).toFixed(2),
          "p50 of the rounds": spread(
            all.map(({ idleMs }) => median(idleMs)),
            2,
          ),
          "p99 ms": quantile(
            all.flatMap(({ idleMs }) => idleMs),
            0.99,
          ).toFixed(2),
          "Redis ms a second, idle": median(all.map(({ idleCpuMs }) => idleCpuMs)).toFixed(2),
        })),
      );
      const p50 = (name: string) =>
        quantile(
          rounds[name]!.flatMap(({ idleMs }) => idleMs),
          0.5,
        );
      report.goal({
        goal: `p50 of a run by itself with ${against}: 1.1 or less`,
        ...{ reached: `${p50(names.many).toFixed(2)} ms`, against: `${p50(names.one).toFixed(2)} ms` },
        ...{ ratio: p50(names.many) / p50(names.one), most: 1.1 },
      });
    });
  },
};

async function round(bench: Bench, worker: Child, count: number): Promise<Round> {
  const { url, redis } = bench;
  await redis.flushall();
  const runs = Math.ceil(settings.runs / 2);
  const definitions = manyOf(count);
  const millrace = await connect({ url, workflows: definitions });
  const start = (n: number) => millrace.runs.start(definitions[n % count]!, { n });
  // What a worker does once, as it starts, is no part of a step.
  await worker.call("start", { url, set: `many:${count}`, concurrency: 300 });
  const cost = await costOf(bench, worker, runs * STEPS, async () => {
    await startMany(runs, start);
    await untilCount(bench, completedIndex(), runs);
  });
  const idleMs = await oneByOne(settings.calls, async (n) => {
    const { id } = await start(n);
    for await (const _ of millrace.watch(id));
  });
  const before = await redisCpuS(redis);
  await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
  const idleCpuMs = (1e6 * ((await redisCpuS(redis)) - before)) / IDLE_MS;
  await worker.call("stop");
  await millrace.close();
  return { cost, idleMs, idleCpuMs };
}
