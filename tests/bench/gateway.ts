import type { ChildProcess } from "node:child_process";
import { Redis } from "ioredis";
import { connect } from "../../engine/index.ts";
import { talk } from "./gateway/definitions.ts";
import { mb, memoryOf, type Processes, said, withProcesses } from "./gateway/processes.ts";

// How long events take from their commit to many sockets of one gateway process, with some that do not read; and beside it what
// `ws` alone takes for as many messages that are published.
const SOCKETS = Number(process.env.SOCKETS ?? 10_000);
const EVENTS = Number(process.env.EVENTS ?? 2_000);
const SECONDS = Number(process.env.SECONDS ?? 10);
const STALLED = Number(process.env.STALLED ?? 100);
/** Each socket watches one of these: with fewer runs than sockets, an event goes to several. */
const RUNS = (process.env.RUNS ?? `${SOCKETS},${SOCKETS / 10}`).split(",").map(Number);
const ROUNDS = Number(process.env.ROUNDS ?? 1);
/** Of a client process. */
const SOCKETS_EACH = 2_500;

interface Figures {
  missed: number;
  received: number;
  /** By milliseconds, how often. */
  latencies: number[];
}

interface Server {
  gateway: ChildProcess;
  listening: Promise<{ port: number; rss: number }>;
  runs: string[];
  /** Begins to tell events, until that is ended. */
  talk(): Promise<() => void>;
}

async function millrace(processes: Processes, count: number): Promise<Server> {
  const { url } = processes;
  const gateway = processes.start("server", url, processes.dir);
  const listening = said<{ port: number; rss: number }>(gateway, "listening");
  const engine = await connect({ url, workflows: [talk] });
  const input = { each: EVENTS / count, seconds: SECONDS };
  const runs: string[] = [];
  while (runs.length < count) {
    const some = Array.from({ length: Math.min(500, count - runs.length) }, () => engine.runs.start(talk, input));
    for (const { id } of await Promise.all(some)) runs.push(id);
  }
  await engine.close();
  return {
    ...{ gateway, listening, runs },
    async talk() {
      const worker = processes.start("worker", url, count);
      return () => void worker.kill("SIGTERM");
    },
  };
}

async function bare(processes: Processes, count: number): Promise<Server> {
  const { url } = processes;
  const runs = Array.from({ length: count }, (_, n) => `run-${n}`);
  const gateway = processes.start("bare", url);
  return {
    ...{ gateway, listening: said(gateway, "listening"), runs },
    async talk() {
      const talking = processes.start("bare-talk", url, EVENTS / count, SECONDS);
      talking.send({ runs });
      return () => void talking.kill("SIGTERM");
    },
  };
}

async function measured(start: typeof bare, count: number): Promise<Record<string, string | number>> {
  let row: Record<string, string | number> = {};
  await withProcesses(async (processes) => {
    const { gateway, listening, runs, talk } = await start(processes, count);
    const { port, rss: before } = await listening;
    const counts: number[] = [];
    for (let left = SOCKETS; left > 0; left -= SOCKETS_EACH) counts.push(Math.min(left, SOCKETS_EACH));
    const clients = counts.map((sockets, i) => {
      const stalled = Math.floor((STALLED * (i + 1)) / counts.length) - Math.floor((STALLED * i) / counts.length);
      const client = processes.start("clients", port, sockets, stalled);
      client.send({ runs, from: i * SOCKETS_EACH });
      return client;
    });
    await Promise.all(clients.map((client) => said(client, "open")));
    const subscribers = await subscribersOf(processes.url);
    const opened = await memoryOf(gateway);
    const stop = await talk();
    const figures = await Promise.all(clients.map((client) => said<Figures>(client, "done")));
    const { rss, cpuS } = await memoryOf(gateway);
    stop();
    const received = figures.reduce((sum, each) => sum + each.received, 0);
    const quantile = quantiles(figures, received);
    row = {
      "runs watched": count,
      "messages received": received,
      missed: figures.reduce((sum, each) => sum + each.missed, 0),
      "p50 ms": quantile(0.5),
      "p99 ms": quantile(0.99),
      subscribers,
      "MB before": mb(before),
      "MB after": mb(rss),
      "CPU s to open": opened.cpuS.toFixed(1),
      "CPU µs a message": Math.round(((cpuS - opened.cpuS) * 1e6) / received),
    };
  });
  return row;
}

/** Connections that hear what is published. */
async function subscribersOf(url: string): Promise<number> {
  const redis = new Redis(url);
  const list = String(await redis.client("LIST"));
  redis.disconnect();
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

console.log(
  `${SOCKETS} sockets, ${STALLED} of them stalled; ${EVENTS} events a second for ${SECONDS} s; goal: p99 of 250 ms`,
);
const rows: Record<string, Record<string, string | number>> = {};
for (let round = 1; round <= ROUNDS; round += 1)
  for (const count of RUNS)
    for (const [name, start] of Object.entries({ bare, millrace }))
      rows[`${name} ${count} #${round}`] = await measured(start, count);
console.table(rows);
