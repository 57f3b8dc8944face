import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import * as v from "valibot";
import { connect, createWorker, workflow } from "../../engine/index.ts";
import { startPrivateRedis } from "../../engine/redis/private/index.ts";

// What an item of a map costs in a run of ten and in one of ten thousand, in turn on one private Redis.
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 5);
const SHAPES = [
  { items: 10, runs: 1_000 },
  { items: 10_000, runs: 1 },
];

const squares = workflow("squares", { input: v.number() }).map("square", {
  over: (count) => Array.from({ length: count }, (_, n) => ({ n, text: `some words about ${n}` })),
  limit: 100,
  run: ({ n }) => n * n,
});

const dir = await mkdtemp(join(tmpdir(), "millrace-bench-"));
const server = await startPrivateRedis({ dir, appendOnly: false, args: ["--save", ""] });
const redis = new Redis(server.url);

/** How long Redis and this process have computed so far, in microseconds. */
async function spent(): Promise<{ redis: number; worker: number }> {
  const cpu = await redis.info("cpu");
  const seconds = (kind: string) => Number(new RegExp(`used_cpu_${kind}_main_thread:([\\d.]+)`).exec(cpu)?.[1]);
  const { user, system } = process.cpuUsage();
  return { redis: 1e6 * (seconds("user") + seconds("sys")), worker: user + system };
}

/** Microseconds per item. */
async function round({ items, runs }: (typeof SHAPES)[number]) {
  await redis.flushall();
  const millrace = await connect({ url: server.url, workflows: [squares] });
  for (let i = 0; i < runs; i += 1) await millrace.runs.start(squares, items);
  const worker = createWorker(millrace, { concurrency: 200 });
  const [before, at] = [await spent(), performance.now()];
  await worker.start();
  // The last run to be started is the last to be done, within a few items.
  for (let done = 0; done < runs; ) {
    done = await redis.zcard("{millrace:0}:runs:default:status:completed");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const [after, wall] = [await spent(), 1_000 * (performance.now() - at)];
  await worker.stop();
  await millrace.close();
  const all = items * runs;
  return { redis: (after.redis - before.redis) / all, worker: (after.worker - before.worker) / all, wall: wall / all };
}

const median = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
const figures = SHAPES.map(() => ({ redis: [] as number[], worker: [] as number[], wall: [] as number[] }));
try {
  for (let i = 0; i <= ROUNDS; i += 1) {
    for (const [k, shape] of SHAPES.entries()) {
      const { redis, worker, wall } = await round(shape);
      if (i === 0) continue; // The first round warms the compiler up.
      figures[k]!.redis.push(redis);
      figures[k]!.worker.push(worker);
      figures[k]!.wall.push(wall);
    }
  }
} finally {
  redis.disconnect();
  await server.stop();
  await rm(dir, { recursive: true, force: true });
}
const rows = figures.map(({ redis, worker, wall }) => [median(redis), median(worker), median(wall)] as const);
console.table(
  rows.map(([redis, worker, wall], k) => ({
    shape: `${SHAPES[k]!.runs} runs of ${SHAPES[k]!.items} items`,
    "Redis us/item": redis.toFixed(1),
    "worker us/item": worker.toFixed(1),
    "wall us/item": wall.toFixed(1),
  })),
);
const ratio = (of: 0 | 1 | 2) => (rows[1]![of] / rows[0]![of]).toFixed(2);
console.log(
  `an item of 10,000 against one of 10: Redis ${ratio(0)}, worker ${ratio(1)}, wall ${ratio(2)} (goal 1.1 or less)`,
);
