import type { ChainOptions } from "./contenders/chain.ts";
import { STEPS } from "./contenders/chain.ts";
import { type ContenderName, contenders } from "./contenders/index.ts";
import { drained, type Fleet } from "./support/drain.ts";
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
    return () => round(bench, name, workers, runs, { bytes });
  };
  const measures = Object.fromEntries(NAMES.map((name) => [name, of(name)])) as Record<
    ContenderName,
    () => Promise<Round>
  >;
  return inTurn(measures);
}

function fleetOf(url: string, workers: readonly Child[], options: ChainOptions = {}): Fleet {
  const each = (what: string, argument?: object) => Promise.all(workers.map((worker) => worker.call(what, argument)));
  return {
    prepare: () => each("prepare", { url, ...options }),
    start: () => void each("start"),
    stop: () => each("stop"),
  };
}

/** Has chains worked off by those processes. */
async function round(
  bench: Bench,
  name: ContenderName,
  workers: readonly Child[],
  runs: number,
  options: ChainOptions = {},
): Promise<Round> {
  const fleet = fleetOf(bench.url, workers, options);
  const spent = async () => {
    const memories = await Promise.all(workers.map((worker) => worker.memory()));
    return { redis: await redisCpuS(bench.redis), workers: memories.reduce((sum, { cpuS }) => sum + cpuS, 0) };
  };
  const steps = runs * STEPS.length;
  const of = { redisUs: 0, workerUs: 0 };
  const around = async (work: () => Promise<void>) => {
    const before = await spent();
    await work();
    const after = await spent();
    of.redisUs = (1e6 * (after.redis - before.redis)) / steps;
    of.workerUs = (1e6 * (after.workers - before.workers)) / steps;
  };
  const took = await drained(bench, contenders[name], fleet, runs, { ...options, around });
  return { stepsPerSecond: (steps * 1_000) / took, ...of };
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

/** What Redis did while chains were worked off, in one round more. */
async function commands(bench: Bench): Promise<Row[]> {
  const { redis, url } = bench;
  const fleet = fleetOf(url, [bench.start("contender", ["millrace"])]);
  const chain = contenders.millrace;
  await drained(bench, chain, fleet, settings.runs);
  let rows: Row[] = [];
  const around = async (work: () => Promise<void>) => {
    await redis.config("RESETSTAT");
    await work();
    rows = await commandsPer(redis, settings.runs * STEPS.length);
  };
  await drained(bench, chain, fleet, settings.runs, { around });
  return rows;
}
