import type { ChainOptions } from "./contenders/chain.ts";
import { STEPS } from "./contenders/chain.ts";
import { type ContenderName, contenders } from "./contenders/index.ts";
import { untilLeft } from "./support/drain.ts";
import { type Bench, type Child, withBench } from "./support/processes.ts";
import { median, spread } from "./support/quantile.ts";
import { commandsPer, type Fsync, redisCpuS, setFsync } from "./support/redis.ts";
import type { Report, Row, Topic } from "./support/report.ts";
import { inTurn } from "./support/rounds.ts";
import { settings } from "./support/settings.ts";

/** How the chain is run, where it differs from one Node process with nothing to carry and nothing on disk. */
interface Variant {
  processes?: number;
  bytes?: number;
  fsync?: Fsync;
  runtime?: "bun";
  /** Of so large a part of the chains. */
  part?: number;
}

const VARIANTS: Record<string, Variant> = {
  plain: {},
  "2-workers": { processes: 2 },
  "4-workers": { processes: 4 },
  "1-KB": { bytes: 1_000 },
  "32-KB": { bytes: 32_000, part: 0.1 },
  everysec: { fsync: "everysec" },
  always: { fsync: "always" },
  bun: { runtime: "bun" },
};

interface Round {
  stepsPerSecond: number;
  redisUs: number;
  workerUs: number;
}

type Figures = Record<ContenderName, Round[]>;
const NAMES = Object.keys(contenders) as ContenderName[];

export const throughput: Topic = {
  name: "throughput",
  about: [
    `a round: ${settings.runs} chains of ${STEPS.length} steps are queued, then worked off by worker processes; µs are computing time of a step`,
    ...NAMES.map((name) => `${contenders[name].name}: ${contenders[name].settings}`),
  ],
  async measure(report) {
    const chosen = settings.variants ?? Object.keys(VARIANTS);
    const unknown = chosen.find((name) => !Object.hasOwn(VARIANTS, name));
    if (unknown !== undefined) throw new Error(`There is no variant ${unknown}, but ${Object.keys(VARIANTS)}.`);
    for (const name of chosen)
      await withBench(async (bench) => {
        const figures = await measured(bench, VARIANTS[name]!);
        report.details(
          name,
          NAMES.map((each) => rowOf(each, figures)),
        );
        if (name !== "plain") return;
        goals(report, figures);
        report.details("what Redis did for Millrace", await commands(bench));
      });
  },
};

async function measured(bench: Bench, variant: Variant): Promise<Figures> {
  const { processes = 1, runtime = "node", fsync = "no", part = 1, bytes } = variant;
  if (fsync !== "no") await setFsync(bench.redis, fsync);
  const runs = Math.ceil(settings.runs * part);
  const of = (name: ContenderName) => {
    const workers = Array.from({ length: processes }, () => bench.start("contender", [name], runtime));
    return () => drained(bench, name, workers, runs, { bytes });
  };
  const measures = Object.fromEntries(NAMES.map((name) => [name, of(name)])) as Record<
    ContenderName,
    () => Promise<Round>
  >;
  return inTurn(measures);
}

/** Queues chains, and has them worked off. */
async function drained(
  { redis, url }: Bench,
  name: ContenderName,
  workers: readonly Child[],
  runs: number,
  options: ChainOptions = {},
): Promise<Round> {
  await redis.flushall();
  const producer = await contenders[name].produce(url, options);
  await producer.add(runs);
  await producer.close();
  const counter = await contenders[name].count(url);
  await Promise.all(workers.map((worker) => worker.call("prepare", { url, ...options })));
  const cpuS = async () => {
    const each = await Promise.all(workers.map((worker) => worker.memory()));
    return each.reduce((sum, memory) => sum + memory.cpuS, 0);
  };
  const before = { redis: await redisCpuS(redis), workers: await cpuS() };
  const from = performance.now();
  for (const worker of workers) void worker.call("start");
  await untilLeft(counter, runs);
  const took = performance.now() - from;
  const after = { redis: await redisCpuS(redis), workers: await cpuS() };
  await Promise.all(workers.map((worker) => worker.call("stop")));
  await counter.close();
  const steps = runs * STEPS.length;
  return {
    stepsPerSecond: (steps * 1_000) / took,
    redisUs: (1e6 * (after.redis - before.redis)) / steps,
    workerUs: (1e6 * (after.workers - before.workers)) / steps,
  };
}

const medianOf = (rounds: Round[], of: keyof Round) => median(rounds.map((round) => round[of]));

function rowOf(name: ContenderName, figures: Figures): Row {
  const speed = medianOf(figures[name], "stepsPerSecond");
  return {
    contender: contenders[name].name,
    "steps/s": Math.round(speed),
    "from … to": spread(figures[name].map((round) => round.stepsPerSecond)),
    "Redis µs": medianOf(figures[name], "redisUs").toFixed(1),
    "workers µs": medianOf(figures[name], "workerUs").toFixed(1),
    "Millrace is": (medianOf(figures.millrace, "stepsPerSecond") / speed).toFixed(2),
  };
}

function goals(report: Report, figures: Figures): void {
  const speed = (name: ContenderName) => medianOf(figures[name], "stepsPerSecond");
  const goal = (name: ContenderName, least: number) =>
    report.goal({
      goal: `chain, steps/s against ${contenders[name].name}: ${least} or more`,
      reached: `${Math.round(speed("millrace"))}/s`,
      against: `${Math.round(speed(name))}/s`,
      ratio: speed("millrace") / speed(name),
      least,
    });
  goal("bullmq", 5);
  goal("bullmqFlow", 5);
  goal("bareLoop", 0.6);
}

/** One more round, with statistics from its middle on: admissions are none of it. */
async function commands(bench: Bench): Promise<Row[]> {
  const worker = bench.start("contender", ["millrace"]);
  await drained(bench, "millrace", [worker], settings.runs);
  await bench.redis.config("RESETSTAT");
  await drained(bench, "millrace", [worker], settings.runs);
  return commandsPer(bench.redis, settings.runs * STEPS.length);
}
