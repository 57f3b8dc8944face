import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { startPrivateRedis } from "../../engine/redis/private/index.ts";
import { bareLoop } from "./bare-loop.ts";
import { bullmq } from "./bullmq.ts";
import { type Contender, STEPS } from "./chain.ts";
import { millrace } from "./millrace.ts";
import { quantile } from "./quantile.ts";

// Everything that is compared runs in turn, round by round, on one private Redis: A B C A B C …
const RUNS = Number(process.env.BENCH_RUNS ?? 10_000);
const IDLE_RUNS = Number(process.env.BENCH_IDLE_RUNS ?? 300);
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 5);
const contenders: Contender[] = [millrace, bullmq, bareLoop];

interface Figures {
  stepsPerSecond: number[];
  idleMs: number[];
}

const require = createRequire(import.meta.url);
const versionOf = (name: string) => (require(`../../node_modules/${name}/package.json`) as { version: string }).version;
const runtime = process.versions.bun === undefined ? `Node ${process.versions.node}` : `Bun ${process.versions.bun}`;

const dir = await mkdtemp(join(tmpdir(), "millrace-bench-"));
const server = await startPrivateRedis({ dir, appendOnly: false, args: ["--save", ""] });
const redis = new Redis(server.url);
const figures = new Map<string, Figures>(contenders.map((each) => [each.name, { stepsPerSecond: [], idleMs: [] }]));
try {
  const [, redisVersion] = /redis_version:(\S+)/.exec(await redis.info("server")) ?? [];
  console.log(`Redis ${redisVersion}, ${runtime}, BullMQ ${versionOf("bullmq")}, ioredis ${versionOf("ioredis")}`);
  console.log(`${ROUNDS} rounds of ${RUNS} chains of ${STEPS.length} steps, and of ${IDLE_RUNS} chains one at a time`);
  for (const { name, settings } of contenders) console.log(`  ${name}: ${settings}`);
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const contender of contenders) {
      await redis.flushall();
      const drained = await contender.drain(server.url, RUNS);
      await redis.flushall();
      const idle = await contender.idle(server.url, IDLE_RUNS);
      if (round === 0) continue; // The first round warms the compilers up.
      const mine = figures.get(contender.name)!;
      mine.stepsPerSecond.push((RUNS * STEPS.length * 1_000) / drained);
      mine.idleMs.push(...idle);
    }
  }
} finally {
  redis.disconnect();
  await server.stop();
  await rm(dir, { recursive: true, force: true });
}

const rows = contenders.map(({ name }) => {
  const { stepsPerSecond, idleMs } = figures.get(name)!;
  return {
    name,
    stepsPerSecond: quantile(stepsPerSecond, 0.5),
    slowest: Math.min(...stepsPerSecond),
    fastest: Math.max(...stepsPerSecond),
    idleP50Ms: quantile(idleMs, 0.5),
    idleP99Ms: quantile(idleMs, 0.99),
  };
});
console.table(
  rows.map((row) => ({
    contender: row.name,
    "steps/s (median)": Math.round(row.stepsPerSecond),
    "from … to": `${Math.round(row.slowest)} … ${Math.round(row.fastest)}`,
    "idle p50 ms": row.idleP50Ms.toFixed(2),
    "idle p99 ms": row.idleP99Ms.toFixed(2),
  })),
);
const [ours, theirs, bare] = rows as [(typeof rows)[0], (typeof rows)[0], (typeof rows)[0]];
const goals = [
  { goal: "steps/s against BullMQ, 5 or more", ratio: ours.stepsPerSecond / theirs.stepsPerSecond, least: 5 },
  { goal: "steps/s against the bare loop, 0.6 or more", ratio: ours.stepsPerSecond / bare.stepsPerSecond, least: 0.6 },
  { goal: "idle p50 against BullMQ, 0.4 or less", ratio: ours.idleP50Ms / theirs.idleP50Ms, most: 0.4 },
  { goal: "idle p99 against BullMQ, 0.4 or less", ratio: ours.idleP99Ms / theirs.idleP99Ms, most: 0.4 },
].map(({ goal, ratio, least = 0, most = Number.POSITIVE_INFINITY }) => ({
  goal,
  ratio: ratio.toFixed(2),
  reached: ratio >= least && ratio <= most ? "yes" : "short",
}));
console.table(goals);
await mkdir(".millrace", { recursive: true });
await writeFile(
  ".millrace/bench.json",
  JSON.stringify({ at: new Date().toISOString(), runtime, rows, goals }, null, 2),
);
console.log("the same as JSON: .millrace/bench.json");
