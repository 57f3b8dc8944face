import { Queue, QueueEvents, Worker } from "bullmq";
import { Redis } from "ioredis";
import { CONCURRENCY, type Contender, countdown, STEPS } from "./chain.ts";

/** Three queues, each worker adding to the next, as BullMQ's documentation chains work. */
async function withQueues<T>(
  url: string,
  use: (queues: Queue[], work: (onDone: (id: string) => void) => Worker[]) => Promise<T>,
): Promise<T> {
  const connection = new Redis(url, { maxRetriesPerRequest: null });
  const options = { connection, defaultJobOptions: { removeOnComplete: true } };
  const queues = STEPS.map((step) => new Queue(`bench-${step}`, options));
  let workers: Worker[] = [];
  const work = (onDone: (id: string) => void) => {
    workers = queues.map((queue, i) => {
      const next = queues[i + 1];
      const worker = new Worker(
        queue.name,
        async (job) => {
          if (next !== undefined) await next.add("step", job.data);
          return job.data;
        },
        { connection, concurrency: CONCURRENCY },
      );
      if (next === undefined) worker.on("completed", (job) => onDone(String(job.data.n)));
      return worker;
    });
    return workers;
  };
  try {
    return await use(queues, work);
  } finally {
    for (const worker of workers) await worker.close();
    for (const queue of queues) await queue.close();
    connection.disconnect();
  }
}

export const bullmq: Contender = {
  name: "bullmq",
  settings: `three queues, each worker adding to the next; concurrency ${CONCURRENCY} each, removeOnComplete; idle seen by QueueEvents`,
  drain: (url, runs) =>
    withQueues(url, async ([first], work) => {
      for (let at = 0; at < runs; at += 1_000) {
        const size = Math.min(1_000, runs - at);
        await first!.addBulk(Array.from({ length: size }, (_, i) => ({ name: "step", data: { n: at + i } })));
      }
      const { done, tick } = countdown(runs);
      const from = performance.now();
      work(tick);
      await done;
      return performance.now() - from;
    }),
  idle: (url, runs) =>
    withQueues(url, async ([first, , last], work) => {
      for (const worker of work(() => {})) await worker.waitUntilReady();
      // As a client in another process sees it: Millrace's runs are watched here as well.
      const events = new QueueEvents(last!.name, { connection: { url } });
      await events.waitUntilReady();
      let onDone = () => {};
      events.on("completed", () => onDone());
      const took: number[] = [];
      for (let i = 0; i < runs; i += 1) {
        const from = performance.now();
        const done = new Promise<void>((resolve) => {
          onDone = resolve;
        });
        await first!.add("step", { n: i });
        await done;
        took.push(performance.now() - from);
      }
      await events.close();
      return took;
    }),
};
