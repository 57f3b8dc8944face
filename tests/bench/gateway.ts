import { Redis } from "ioredis";
import { connect } from "../../engine/index.ts";
import { talk } from "./gateway/definitions.ts";
import { mb, memoryOf, said, withProcesses } from "./gateway/processes.ts";

// How long events take from their commit to many sockets of one gateway process, with some that do not read.
const SOCKETS = Number(process.env.SOCKETS ?? 10_000);
const EVENTS = Number(process.env.EVENTS ?? 2_000);
const SECONDS = Number(process.env.SECONDS ?? 10);
const STALLED = Number(process.env.STALLED ?? 100);
const RUNS = Number(process.env.RUNS ?? Math.min(SOCKETS, 1_000));
/** Of a client process. */
const SOCKETS_EACH = 2_500;

interface Figures {
  missed: number;
  received: number;
  /** By milliseconds, how often. */
  latencies: number[];
}

await withProcesses(async (processes) => {
  const { url } = processes;
  const millrace = await connect({ url, workflows: [talk] });
  const gateway = processes.start("server", url, processes.dir);
  const { port, rss: before } = await said<{ port: number; rss: number }>(gateway, "listening");
  const starts = Array.from({ length: RUNS }, () =>
    millrace.runs.start(talk, { each: EVENTS / RUNS, seconds: SECONDS }),
  );
  const runs = (await Promise.all(starts)).map(({ id }) => id);

  const counts: number[] = [];
  for (let left = SOCKETS; left > 0; left -= SOCKETS_EACH) counts.push(Math.min(left, SOCKETS_EACH));
  const clients = counts.map((count, i) => {
    const stalled = Math.floor((STALLED * (i + 1)) / counts.length) - Math.floor((STALLED * i) / counts.length);
    const client = processes.start("clients", port, count, stalled);
    client.send({ runs, from: i * SOCKETS_EACH });
    return client;
  });
  await Promise.all(clients.map((client) => said(client, "open")));
  const redis = new Redis(url);
  const list = String(await redis.client("LIST"));
  const subscribers = list
    .split("\n")
    .filter((line) => / name=millrace:millrace:subscriber /.test(line) && !/ sub=0 /.test(line));
  const worker = processes.start("worker", url, RUNS);
  const done = clients.map((client) => said<Figures>(client, "done"));
  const figures = await Promise.all(done);
  const { rss, cpuS } = await memoryOf(gateway);
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
});
