import { bullmq } from "./contenders/bullmq.ts";
import { millrace } from "./contenders/millrace.ts";
import { measureEvents } from "./latency/events.ts";
import { inTime, oneByOne } from "./support/http.ts";
import { sustained, underLoad } from "./support/load.ts";
import { type Bench, type Child, withBench } from "./support/processes.ts";
import { median, quantile, spread } from "./support/quantile.ts";
import type { Report, Topic } from "./support/report.ts";
import { inTurn } from "./support/rounds.ts";
import { settings } from "./support/settings.ts";

const CALLABLE = { millrace, bullmq };
type Name = keyof typeof CALLABLE;
const NAMES = Object.keys(CALLABLE) as Name[];

export const latency: Topic = {
  name: "latency",
  about: [
    `${settings.calls} of each, one at a time, in a round, or as many as 5 s take; the worker is one process, who asks and sees is another`,
    "at half load: another process adds chains at half the rate at which one adds and one works off what is added flat out",
    ...NAMES.map((name) => `${CALLABLE[name].name}: ${CALLABLE[name].settings}`),
  ],
  async measure(report) {
    const rate = await withBench((bench) => chains(bench, report));
    await withBench((bench) => measureEvents(bench, report, rate));
  },
};

/** The chain from its start to its end as a client sees it. @returns chains a second that are half load of Millrace */
async function chains(bench: Bench, report: Report): Promise<number> {
  const workers = { millrace: bench.start("contender", ["millrace"]), bullmq: bench.start("contender", ["bullmq"]) };
  const loaders = { millrace: bench.start("contender", ["millrace"]), bullmq: bench.start("contender", ["bullmq"]) };
  const rates = await inTurn({
    millrace: () => sustained(bench, "millrace", workers.millrace),
    bullmq: () => sustained(bench, "bullmq", workers.bullmq),
  });
  report.progress("what can be sustained is known");
  const half = { millrace: median(rates.millrace) / 2, bullmq: median(rates.bullmq) / 2 };
  const one = (name: Name, rate: number) => () => called(bench, name, workers[name], loaders[name], rate);
  const idle = await inTurn({ millrace: one("millrace", 0), bullmq: one("bullmq", 0) });
  report.progress("idle");
  const loaded = await inTurn({ millrace: one("millrace", half.millrace), bullmq: one("bullmq", half.bullmq) });
  report.details(
    "a chain from its start to its end, ms",
    [...Object.entries({ idle, loaded })].flatMap(([load, took]) =>
      NAMES.map((name) => ({
        ...{ contender: CALLABLE[name].name, load },
        "chains/s beside it": load === "idle" ? 0 : Math.round(half[name]),
        calls: took[name].flat().length,
        p50: quantile(took[name].flat(), 0.5).toFixed(2),
        p99: quantile(took[name].flat(), 0.99).toFixed(2),
        "p50 of the rounds": spread(took[name].map(median), 2),
      })),
    ),
  );
  for (const [load, took, most] of [
    ["idle", idle, 0.4],
    ["at half load", loaded, 0.4],
  ] as const)
    for (const part of [0.5, 0.99]) {
      const [ours, theirs] = NAMES.map((name) => quantile(took[name].flat(), part)) as [number, number];
      report.goal({
        goal: `chain, ${load}, p${100 * part} against bullmq: ${most} or less`,
        ...{ reached: `${ours.toFixed(2)} ms`, against: `${theirs.toFixed(2)} ms`, ratio: ours / theirs, most },
      });
    }
  return half.millrace;
}

async function called(
  { redis, url }: Bench,
  name: Name,
  worker: Child,
  loader: Child,
  rate: number,
): Promise<number[]> {
  await redis.flushall();
  await worker.call("prepare", { url });
  await worker.call("start");
  const caller = await CALLABLE[name].call(url);
  // A first call opens what is opened once.
  await inTime(caller.call());
  const took = await underLoad(url, loader, rate, () => oneByOne(settings.calls, () => caller.call()));
  await caller.close();
  await worker.call("stop");
  return took;
}
