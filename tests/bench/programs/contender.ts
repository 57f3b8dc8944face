// One of those that are compared, in a process of its own: it works on chains, or starts them.
import type { ChainOptions, ChainWorker } from "../contenders/chain.ts";
import { type ContenderName, contenders } from "../contenders/index.ts";
import { serves } from "../support/child.ts";

const contender = contenders[process.argv[2] as ContenderName];
let worker: ChainWorker | undefined;
let held = 0;
let release = (): void => {};
let isLoading = false;
let loading: Promise<number> | undefined;

serves({
  /** @param hold whether the second step waits until `release` */
  prepare: async ({ url, hold, ...options }: Omit<ChainOptions, "hold"> & { url: string; hold?: boolean }) => {
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    held = 0;
    const waits = () => {
      held += 1;
      return released;
    };
    worker = await contender.prepare(url, { ...options, ...(hold ? { hold: waits } : {}) });
  },
  start: () => worker!.start(),
  stop: () => worker!.stop(),
  held: () => held,
  release: () => release(),
  /** Adds chains, as many a second as is said, until `unload`. */
  load: async ({ url, rate }: { url: string; rate: number }) => {
    isLoading = true;
    loading = load(url, rate);
  },
  /** @returns how many were added */
  unload: () => {
    isLoading = false;
    return loading;
  },
});

async function load(url: string, rate: number): Promise<number> {
  const producer = await contender.produce(url);
  const from = performance.now();
  let added = 0;
  const adding = new Set<Promise<void>>();
  while (isLoading) {
    const due = Math.floor((rate * (performance.now() - from)) / 1_000) - added;
    if (due > 0) {
      added += due;
      const one = producer.add(due).finally(() => adding.delete(one));
      adding.add(one);
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await Promise.all(adding);
  await producer.close();
  return added;
}
