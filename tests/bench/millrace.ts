import { any } from "valibot";
import { connect, createWorker, type Millrace, workflow } from "../../engine/index.ts";
import { CONCURRENCY, type Contender, STEPS } from "./chain.ts";

const step = { run: async (input: unknown) => input, concurrency: CONCURRENCY };
const chain = workflow("chain", { input: any() }).step("one", step).step("two", step).step("three", step);

async function withMillrace<T>(url: string, use: (millrace: Millrace) => Promise<T>): Promise<T> {
  const millrace = await connect({ url, namespace: "bench", workflows: [chain] });
  try {
    return await use(millrace);
  } finally {
    await millrace.close();
  }
}

/** Starts `runs` chains, 200 calls under way at once. */
async function startAll(millrace: Millrace, runs: number): Promise<string[]> {
  const ids: string[] = [];
  const one = async () => {
    while (ids.length < runs) {
      const at = ids.push("") - 1;
      ids[at] = (await millrace.runs.start(chain, { n: at })).id;
    }
  };
  await Promise.all(Array.from({ length: 200 }, one));
  return ids;
}

export const millrace: Contender = {
  name: "millrace",
  settings: `one worker for the three steps, concurrency ${CONCURRENCY} for each; state, log and pub/sub on; idle seen by watch()`,
  drain: (url, runs) =>
    withMillrace(url, async (millrace) => {
      const ids = await startAll(millrace, runs);
      const worker = createWorker(millrace, { concurrency: STEPS.length * CONCURRENCY });
      const from = performance.now();
      await worker.start();
      // Streams keep the order, so the last run to be started is among the last to end; the rest is looked up.
      for (const id of ids.slice(-CONCURRENCY)) for await (const _ of millrace.watch(id));
      const took = performance.now() - from;
      const open = (await millrace.runs.list({ status: "running" })).data.length;
      if (open > 0) throw new Error(`${open} runs are still open`);
      await worker.stop();
      return took;
    }),
  idle: (url, runs) =>
    withMillrace(url, async (millrace) => {
      const worker = createWorker(millrace, { concurrency: STEPS.length * CONCURRENCY });
      await worker.start();
      const took: number[] = [];
      for (let i = 0; i < runs; i += 1) {
        const from = performance.now();
        const { id } = await millrace.runs.start(chain, { n: i });
        for await (const _ of millrace.watch(id));
        took.push(performance.now() - from);
      }
      await worker.stop();
      return took;
    }),
};
