import { FlowProducer, type JobsOptions } from "bullmq";
import { connectionTo, countOf, queueName, queueOptions, workersOf } from "./bullmq-parts.ts";
import { type ChainOptions, CONCURRENCY, type Contender, carried, inParts, STEPS } from "./chain.ts";

/** A tree of which the last step is the root: a parent is worked on once its child is done. */
function flowOf(n: number, options: ChainOptions | undefined, opts: JobsOptions) {
  const data = carried(n, options);
  const job = (step: string) => ({ name: "step", queueName: queueName(step), data, opts });
  return { ...job(STEPS[2]), children: [{ ...job(STEPS[1]), children: [job(STEPS[0])] }] };
}

export const bullmqFlow: Contender = {
  name: "bullmq flow",
  settings: `FlowProducer.addBulk by 250, children first, each job with its data from the start; concurrency ${CONCURRENCY} each, one shared connection, removeOnComplete`,
  produce: async (url, options) => {
    const connection = connectionTo(url);
    const flows = new FlowProducer({ connection });
    const opts = queueOptions(connection, options).defaultJobOptions!;
    const add = (first: number, size: number) =>
      flows.addBulk(Array.from({ length: size }, (_, i) => flowOf(first + i, options, opts)));
    return {
      add: (count) => inParts(count, 250, add),
      async close() {
        await flows.close();
        connection.disconnect();
      },
    };
  },
  prepare: async (url, options = {}) => {
    const connection = connectionTo(url);
    const workers = await workersOf(connection, options, (index) => async (job) => {
      if (index === 1) await options.hold?.();
      return job.data;
    });
    return {
      start: workers.start,
      async stop() {
        await workers.stop();
        connection.disconnect();
      },
    };
  },
  count: countOf,
};
