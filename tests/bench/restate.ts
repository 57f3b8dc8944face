import { PACKAGES, PARTITIONS } from "./restate/packages.ts";
import { restateServer } from "./restate/server.ts";
import { byCallers, inTime, oneByOne } from "./support/http.ts";
import { type Bench, withBench } from "./support/processes.ts";
import { median, quantile, spread } from "./support/quantile.ts";
import { setFsync } from "./support/redis.ts";
import type { Row, Topic } from "./support/report.ts";
import { inTurn } from "./support/rounds.ts";
import { served } from "./support/served.ts";
import { settings } from "./support/settings.ts";

const CALLERS = 100;
const CALLS = Math.ceil(settings.runs / 2);
const NAMES = { millrace: "Millrace", restate: "Restate" } as const;

interface Round {
  runsPerSecond: number;
  oneMs: number[];
}

export const restate: Topic = {
  name: "restate",
  about: [
    `three steps that do nothing, called over HTTP and waited for: ${CALLS} calls by ${CALLERS} callers, then ${settings.calls} by one`,
    "Millrace: one gateway process, one worker process, Redis with appendfsync always; POST /v1/inference with Prefer: wait",
    `Restate: ${Object.entries(PACKAGES)
      .map((each) => each.join(" "))
      .join(
        ", ",
      )}, one server, one service process over HTTP/2, three ctx.run; its settings but for ${PARTITIONS} partitions, logs fsynced as they are by default`,
  ],
  async measure(report) {
    await withBench(async (bench) => {
      const ours = await millraceServer(bench);
      const theirs = await restateServer(bench, (text) => report.progress(text));
      try {
        const rounds = await inTurn({ millrace: () => round(ours), restate: () => round(theirs.call) });
        const names = Object.keys(NAMES) as (keyof typeof NAMES)[];
        const speed = (name: keyof typeof NAMES) => median(rounds[name].map((each) => each.runsPerSecond));
        const oneMs = (name: keyof typeof NAMES, part: number) =>
          quantile(
            rounds[name].flatMap((each) => each.oneMs),
            part,
          );
        report.details(
          "called over HTTP",
          names.map(
            (name): Row => ({
              contender: NAMES[name],
              "runs/s": Math.round(speed(name)),
              "from … to": spread(rounds[name].map((each) => each.runsPerSecond)),
              "p50 ms of one caller": oneMs(name, 0.5).toFixed(2),
              "p99 ms": oneMs(name, 0.99).toFixed(2),
            }),
          ),
        );
        report.goal({
          goal: `called over HTTP by ${CALLERS}, runs/s against Restate: 5 or more`,
          reached: `${Math.round(speed("millrace"))}/s`,
          against: `${Math.round(speed("restate"))}/s`,
          ...{ ratio: speed("millrace") / speed("restate"), least: 5 },
        });
        report.goal({
          goal: "called over HTTP by one, p50 against Restate: 0.5 or less",
          reached: `${oneMs("millrace", 0.5).toFixed(2)} ms`,
          against: `${oneMs("restate", 0.5).toFixed(2)} ms`,
          ...{ ratio: oneMs("millrace", 0.5) / oneMs("restate", 0.5), most: 0.5 },
        });
      } finally {
        await theirs.stop();
      }
    });
  },
};

type Call = (n: number) => Promise<unknown>;

async function round(call: Call): Promise<Round> {
  const from = performance.now();
  await byCallers(CALLERS, CALLS, (n) => inTime(call(n)));
  const runsPerSecond = (CALLS * 1_000) / (performance.now() - from);
  return { runsPerSecond, oneMs: await oneByOne(settings.calls, call) };
}

async function millraceServer(bench: Bench): Promise<Call> {
  await setFsync(bench.redis, "always");
  return (await served(bench)).infer;
}
