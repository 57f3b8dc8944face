import type { ChainOptions, Contender, Counter } from "../contenders/chain.ts";
import type { Bench } from "./processes.ts";

/** The workers that work chains off, wherever they are. */
export interface Fleet {
  /** Connects them. */
  prepare(): Promise<unknown>;
  start(): void;
  stop(): Promise<unknown>;
}

/** Of this process. */
export function localFleet(contender: Contender, url: string): Fleet {
  let worker: Awaited<ReturnType<Contender["prepare"]>>;
  return {
    async prepare() {
      worker = await contender.prepare(url);
    },
    start: () => worker.start(),
    stop: () => worker.stop(),
  };
}

/**
 * Queues chains in an empty Redis, and has them worked off.
 *
 * @param around calls what it is given, and may look at something before and after
 * @returns how long that took, in ms
 */
export async function drained(
  { redis, url }: Bench,
  contender: Contender,
  fleet: Fleet,
  runs: number,
  {
    around = (work) => work(),
    ...options
  }: ChainOptions & { around?: (work: () => Promise<void>) => Promise<void> } = {},
): Promise<number> {
  await redis.flushall();
  const producer = await contender.produce(url, options);
  await producer.add(runs);
  await producer.close();
  const counter = await contender.count(url);
  await fleet.prepare();
  let took = 0;
  await around(async () => {
    const from = performance.now();
    fleet.start();
    await untilLeft(counter, runs);
    took = performance.now() - from;
  });
  await fleet.stop();
  await counter.close();
  return took;
}

/**
 * Waits until so few of `added` chains have not ended.
 *
 * @param within ms; of each look at Redis, the last ones are about a millisecond apart
 * @throws Error if that takes longer
 */
export async function untilLeft(counter: Counter, added: number, least = 0, within = 600_000): Promise<void> {
  for (const until = performance.now() + within; ; ) {
    const left = await counter.left(added);
    if (left <= least) return;
    if (performance.now() > until) throw new Error(`${left} of ${added} chains have not ended in ${within} ms.`);
    await new Promise((resolve) => setTimeout(resolve, left - least > added / 10 ? 10 : 1));
  }
}
