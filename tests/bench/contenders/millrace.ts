import { any } from "valibot";
import { connect, createWorker, workflow } from "../../../engine/index.ts";
import { NamespaceKeys } from "../../../engine/keys.ts";
import { connectionTo } from "./bullmq-parts.ts";
import { type Callable, type ChainOptions, CONCURRENCY, carried, STEPS } from "./chain.ts";

/** The chain, as a worker with these options runs it. */
export function chainOf({ concurrency = CONCURRENCY, hold }: ChainOptions = {}) {
  const step = { run: async (input: unknown) => input, concurrency };
  const second = hold === undefined ? step : { ...step, run: async (input: unknown) => hold().then(() => input) };
  return workflow("chain", { input: any() }).step("one", step).step("two", second).step("three", step);
}

const chain = chainOf();

/** The index of the runs of the default tenant that have completed. */
export function completedIndex(namespace = "millrace"): string {
  return new NamespaceKeys(namespace).partition(0).runsByStatus("default", "completed");
}

/** Starts runs with 200 calls under way at once. */
export async function startMany(count: number, start: (n: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const one = async () => {
    while (next < count) {
      next += 1;
      await start(next - 1);
    }
  };
  await Promise.all(Array.from({ length: Math.min(200, count) }, one));
}

export const millrace: Callable = {
  name: "millrace",
  settings: `one worker for the three steps, concurrency ${CONCURRENCY} for each; state, log and pub/sub on, runs kept; ends seen by watch()`,
  produce: async (url, options) => {
    const engine = await connect({ url, workflows: [chain] });
    const start = (n: number) => engine.runs.start(chain, carried(n, options));
    return { add: (count) => startMany(count, start), close: () => engine.close() };
  },
  prepare: async (url, options = {}) => {
    const { concurrency = CONCURRENCY } = options;
    const engine = await connect({ url, workflows: [chainOf(options)] });
    const worker = createWorker(engine, { concurrency: Math.min(10_000, STEPS.length * concurrency) });
    return {
      start: () => void worker.start(),
      async stop() {
        await worker.stop();
        await engine.close();
      },
    };
  },
  count: async (url) => {
    const redis = connectionTo(url);
    return {
      left: async (added) => added - (await redis.zcard(completedIndex())),
      close: async () => redis.disconnect(),
    };
  },
  call: async (url) => {
    const engine = await connect({ url, workflows: [chain] });
    return {
      async call() {
        const { id } = await engine.runs.start(chain, carried("called"));
        for await (const _ of engine.watch(id));
      },
      close: () => engine.close(),
    };
  },
};
