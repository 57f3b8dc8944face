import { QueueEvents } from "bullmq";
import { connectionTo, countOf, queueName, queuesOf, workersOf } from "./bullmq-parts.ts";
import { type Callable, CONCURRENCY, carried, inParts, STEPS } from "./chain.ts";

/** Three queues, each worker adding to the next. */
export const bullmq: Callable = {
  name: "bullmq",
  settings: `three queues, each worker adding to the next; concurrency ${CONCURRENCY} each, one shared connection, addBulk by 1,000, removeOnComplete; ends seen by QueueEvents`,
  produce: async (url, options) => {
    const connection = connectionTo(url);
    const queues = queuesOf(connection, options);
    const add = (first: number, size: number) =>
      queues[0]!.addBulk(Array.from({ length: size }, (_, i) => ({ name: "step", data: carried(first + i, options) })));
    return {
      add: (count) => inParts(count, 1_000, add),
      async close() {
        for (const queue of queues) await queue.close();
        connection.disconnect();
      },
    };
  },
  prepare: async (url, options = {}) => {
    const connection = connectionTo(url);
    const queues = queuesOf(connection, options);
    const workers = await workersOf(connection, options, (index) => async (job) => {
      if (index === 1) await options.hold?.();
      await queues[index + 1]?.add("step", job.data);
      return job.data;
    });
    return {
      start: workers.start,
      async stop() {
        await workers.stop();
        for (const queue of queues) await queue.close();
        connection.disconnect();
      },
    };
  },
  count: countOf,
  call: async (url) => {
    const connection = connectionTo(url);
    const queues = queuesOf(connection);
    // From the beginning: what comes before its first read would be missed otherwise.
    const listening = connectionTo(url);
    const events = new QueueEvents(queueName(STEPS[2]), { connection: listening, lastEventId: "0-0" });
    await events.waitUntilReady();
    const waiting = new Map<string, () => void>();
    events.on("completed", ({ returnvalue }) => {
      const { n } = returnvalue as unknown as { n: string };
      waiting.get(n)?.();
    });
    let last = 0;
    return {
      async call() {
        last += 1;
        const n = `called-${last}`;
        const done = new Promise<void>((resolve) => waiting.set(n, resolve));
        await queues[0]!.add("step", carried(n));
        await done;
        waiting.delete(n);
      },
      async close() {
        await events.close();
        listening.disconnect();
        for (const queue of queues) await queue.close();
        connection.disconnect();
      },
    };
  },
};
