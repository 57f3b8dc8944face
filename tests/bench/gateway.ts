import { type ChildProcess, fork } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { connect } from "../../engine/index.ts";
import { startPrivateRedis } from "../../engine/redis/private/index.ts";
import { talk } from "./gateway/definitions.ts";

// How long events take from their commit to many sockets of one gateway process, with some that do not read.
const SOCKETS = Number(process.env.SOCKETS ?? 10_000);
const EVENTS = Number(process.env.EVENTS ?? 2_000);
const SECONDS = Number(process.env.SECONDS ?? 10);
const STALLED = Number(process.env.STALLED ?? 100);
const RUNS = Number(process.env.RUNS ?? Math.min(SOCKETS, 1_000));
/** Of a client process. */
const SOCKETS_EACH = 2_500;

const here = (name: string) => new URL(`gateway/${name}.ts`, import.meta.url).pathname;
const dir = await mkdtemp(join(tmpdir(), "millrace-bench-"));
const server = await startPrivateRedis({ dir, appendOnly: false, args: ["--save", ""] });
const children: ChildProcess[] = [];

function child(name: string, ...args: (string | number)[]): ChildProcess {
  const started = fork(here(name), args.map(String), { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  children.push(started);
  return started;
}

/** The next message of this kind from a child. */
function said<T>(from: ChildProcess, kind: string): Promise<T> {
  return new Promise((resolve, reject) => {
    from.on("message", (message: { kind: string } & T) => message.kind === kind && resolve(message));
    from.once("exit", (code) => reject(new Error(`A process of the bench ended with ${code}.`)));
  });
}

interface Figures {
  missed: number;
  received: number;
  /** By milliseconds, how often. */
  latencies: number[];
}

try {
  const millrace = await connect({ url: server.url, workflows: [talk] });
  const gateway = child("server", server.url);
  const { port, rss: before } = await said<{ port: number; rss: number }>(gateway, "listening");
  const starts = Array.from({ length: RUNS }, () =>
    millrace.runs.start(talk, { each: EVENTS / RUNS, seconds: SECONDS }),
  );
  const runs = (await Promise.all(starts)).map(({ id }) => id);

  const counts: number[] = [];
  for (let left = SOCKETS; left > 0; left -= SOCKETS_EACH) counts.push(Math.min(left, SOCKETS_EACH));
  const clients = counts.map((count, i) => {
    const stalled = Math.floor((STALLED * (i + 1)) / counts.length) - Math.floor((STALLED * i) / counts.length);
    const client = child("clients", port, count, stalled);
    client.send({ runs, from: i * SOCKETS_EACH });
    return client;
  });
  await Promise.all(clients.map((client) => said(client, "open")));
  const redis = new Redis(server.url);
  const list = String(await redis.client("LIST"));
  const subscribers = list
    .split("\n")
    .filter((line) => / name=millrace:millrace:subscriber /.test(line) && !/ sub=0 /.test(line));
  const worker = child("worker", server.url, RUNS);
  const done = clients.map((client) => said<Figures>(client, "done"));
  const figures = await Promise.all(done);
  gateway.send("memory");
  const { rss, cpuS } = await said<{ rss: number; cpuS: number }>(gateway, "memory");
  worker.kill("SIGTERM");
  redis.disconnect();
  await millrace.close();

  const latencies: number[] = [];
  for (const each of figures)
    for (const [ms, count] of each.latencies.entries()) latencies[ms] = (latencies[ms] ?? 0) + (count ?? 0);
  const received = figures.reduce((sum, each) => sum + each.received, 0);
  const quantile = (share: number) => {
    let seen = 0;
    return latencies.findIndex((count) => {
      seen += count ?? 0;
      return seen >= share * received;
    });
  };
  console.table({
    "sockets, stalled ones among them": `${SOCKETS}, ${STALLED}`,
    "runs watched; events stored a second": `${RUNS}; ${EVENTS}`,
    "messages received": received,
    missed: figures.reduce((sum, each) => sum + each.missed, 0),
    "from commit to client, p50 ms": quantile(0.5),
    "from commit to client, p99 ms (goal 250)": quantile(0.99),
    "subscriber connections of the gateway": subscribers.length,
    "gateway's memory before and after, MB": `${mb(before)}, ${mb(rss)}`,
    "gateway's KB a socket": Math.round((rss - before) / SOCKETS / 1_024),
    "gateway's CPU, s": cpuS.toFixed(1),
  });
} finally {
  for (const each of children) each.kill("SIGKILL");
  await server.stop();
  await rm(dir, { recursive: true, force: true });
}

function mb(bytes: number): string {
  return (bytes / 1_048_576).toFixed(0);
}
