import { type Job, Queue, type QueueOptions, Worker } from "bullmq";
import { Redis } from "ioredis";
import { type ChainOptions, type ChainWorker, CONCURRENCY, type Counter, STEPS } from "./chain.ts";

/** One connection for all queues and the plain calls of all workers; each worker makes another for its blocking ones. */
export function connectionTo(url: string): Redis {
  return new Redis(url, { maxRetriesPerRequest: null });
}

export const queueName = (step: string) => `bench-${step}`;

/** How a queue is set: nothing is kept, or everything is. */
export function queueOptions(connection: Redis, { keep = false }: ChainOptions = {}): QueueOptions {
  return {
    connection,
    defaultJobOptions: { removeOnComplete: !keep, removeOnFail: !keep },
    ...(keep ? { streams: { events: { maxLen: 1_000_000_000 } } } : {}),
  };
}

export function queuesOf(connection: Redis, options?: ChainOptions): Queue[] {
  return STEPS.map((step) => new Queue(queueName(step), queueOptions(connection, options)));
}

/** A worker for each step. @param process what a job of the step of that index does */
export async function workersOf(
  connection: Redis,
  { concurrency = CONCURRENCY }: ChainOptions,
  process: (index: number) => (job: Job) => Promise<unknown>,
): Promise<ChainWorker> {
  const workers = STEPS.map(
    (step, i) => new Worker(queueName(step), process(i), { connection, concurrency, autorun: false }),
  );
  await Promise.all(workers.map((worker) => worker.waitUntilReady()));
  return {
    start() {
      for (const worker of workers) void worker.run();
    },
    stop: async () => void (await Promise.all(workers.map((worker) => worker.close()))),
  };
}

export async function countOf(url: string): Promise<Counter> {
  const connection = connectionTo(url);
  const queues = queuesOf(connection);
  return {
    // In the order in which jobs go from queue to queue, so that none is missed between two.
    async left() {
      let all = 0;
      for (const queue of queues) all += await queue.getJobCountByTypes("wait", "active", "waiting-children");
      return all;
    },
    async close() {
      for (const queue of queues) await queue.close();
      connection.disconnect();
    },
  };
}
