import { connect } from "../../engine/index.ts";
import { startMany } from "./contenders/millrace.ts";
import { talk } from "./support/definitions.ts";
import { type Bench, type Child, withBench } from "./support/processes.ts";
import { mb } from "./support/redis.ts";
import type { Row, Topic } from "./support/report.ts";
import { settings } from "./support/settings.ts";

const { sockets: SOCKETS, events: EVENTS, seconds: SECONDS, stalled: STALLED } = settings;
/** Each socket watches one of these: with fewer runs than sockets, an event goes to several. */
const RUNS = [SOCKETS, Math.ceil(SOCKETS / 10)];
/** Of a client process. */
const SOCKETS_EACH = 2_500;
const GOAL_MS = 250;

interface Figures {
  missed: number;
  /** In all, and those whose times were measured. */
  messages: number;
  received: number;
  /** By milliseconds, how often. */
  latencies: number[];
}

interface Server {
  gateway: Child;
  runs: string[];
  /** Starts what tells events: first that each run has begun, and once it is told to `go` the others. */
  talk(): Promise<Child>;
}

export const fanout: Topic = {
  name: "fanout",
  about: [
    "how long events take from their commit to many sockets of one gateway process, of which some do not read; beside it, what `ws` alone takes for messages that are published",
    `${SOCKETS} sockets, ${STALLED} of them stalled; ${EVENTS} events a second for ${SECONDS} s, to one socket each or to ten`,
  ],
  async measure(report) {
    const rows: Row[] = [];
    for (const count of RUNS)
      for (const [contender, start] of Object.entries({ "ws alone": bare, Millrace: millrace })) {
        const row = await withBench((bench) => measured(bench, start, count));
        rows.push({ contender, ...row });
        report.progress(`${contender}, ${count} runs watched`);
        if (contender !== "Millrace" || count !== RUNS[0]) continue;
        report.goal({
          goal: `${SOCKETS} sockets, p99 from commit to client: ${GOAL_MS} ms or less, none missed`,
          reached: `${row["p99 ms"]} ms, ${row.missed} missed`,
          against: `ws alone ${rows[0]!["p99 ms"]} ms`,
          ratio: row.missed === 0 ? Number(row["p99 ms"]) / GOAL_MS : Number.POSITIVE_INFINITY,
          most: 1,
        });
      }
    report.details("from commit to client", rows);
  },
};

async function millrace(bench: Bench, count: number): Promise<Server> {
  const { url, dir } = bench;
  const gateway = bench.start("server", ["gateway", url, "millrace", dir]);
  const engine = await connect({ url, workflows: [talk] });
  const runs: string[] = [];
  const input = { each: EVENTS / count, seconds: SECONDS };
  await startMany(count, async () => runs.push((await engine.runs.start(talk, input)).id));
  await engine.close();
  return {
    ...{ gateway, runs },
    async talk() {
      const talking = bench.start("worker");
      await talking.call("start", { url, set: "gateway", concurrency: count });
      return talking;
    },
  };
}

async function bare(bench: Bench, count: number): Promise<Server> {
  const runs = Array.from({ length: count }, (_, n) => `run-${n}`);
  return {
    ...{ gateway: bench.start("bare", [bench.url]), runs },
    async talk() {
      const talking = bench.start("bare-talk", [bench.url, EVENTS / count, SECONDS]);
      await talking.call("begin", runs);
      return talking;
    },
  };
}

async function measured(bench: Bench, start: typeof bare, count: number): Promise<Row> {
  const { gateway, runs, talk } = await start(bench, count);
  const { port, rss } = (await gateway.ready) as { port: number; rss: number };
  const counts: number[] = [];
  for (let left = SOCKETS; left > 0; left -= SOCKETS_EACH) counts.push(Math.min(left, SOCKETS_EACH));
  const clients = counts.map((sockets, i) => {
    const stalled = Math.floor((STALLED * (i + 1)) / counts.length) - Math.floor((STALLED * i) / counts.length);
    return bench.start("clients", [port, sockets, stalled]);
  });
  await Promise.all(clients.map((client, i) => client.call("open", { runs, from: i * SOCKETS_EACH })));
  const subscribers = await subscribersOf(bench);
  const started = clients.map((client) => client.call("started"));
  const done = clients.map((client) => client.call<Figures>("done"));
  const talking = await talk();
  await Promise.all(started);
  const before = await gateway.memory();
  await talking.call("go");
  const figures = await Promise.all(done);
  const after = await gateway.memory();
  const sum = (of: "received" | "messages" | "missed") => figures.reduce((all, each) => all + each[of], 0);
  const quantile = quantiles(figures, sum("received"));
  return {
    "runs watched": count,
    "messages received": sum("received"),
    missed: sum("missed"),
    "p50 ms": quantile(0.5),
    "p99 ms": quantile(0.99),
    subscribers,
    "MB at rest": mb(rss),
    "MB after": mb(after.rss),
    "CPU s to open": before.cpuS.toFixed(1),
    "CPU µs a message": Math.round(((after.cpuS - before.cpuS) * 1e6) / sum("messages")),
  };
}

/** Connections that hear what is published. */
async function subscribersOf({ redis }: Bench): Promise<number> {
  const list = String(await redis.client("LIST"));
  return list.split("\n").filter((line) => / sub=[1-9]| psub=[1-9]/.test(line)).length;
}

function quantiles(figures: Figures[], received: number): (share: number) => number {
  const latencies: number[] = [];
  for (const each of figures)
    for (const [ms, count] of each.latencies.entries()) latencies[ms] = (latencies[ms] ?? 0) + (count ?? 0);
  return (share) => {
    let seen = 0;
    return latencies.findIndex((count) => {
      seen += count ?? 0;
      return seen >= share * received;
    });
  };
}
