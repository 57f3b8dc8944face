import type { Bench, Child } from "../support/processes.ts";
import { redisCpuS } from "../support/redis.ts";

/** What a unit of work has cost: how long it took, and computed, in µs. */
export interface Cost {
  wall: number;
  redis: number;
  worker: number;
}

/** What `work` costs, divided by how much it is. */
export async function costOf({ redis }: Bench, worker: Child, units: number, work: () => Promise<void>): Promise<Cost> {
  const spent = async () => ({ redis: await redisCpuS(redis), worker: (await worker.memory()).cpuS });
  const before = await spent();
  const from = performance.now();
  await work();
  const wall = performance.now() - from;
  const after = await spent();
  return {
    wall: (1_000 * wall) / units,
    redis: (1e6 * (after.redis - before.redis)) / units,
    worker: (1e6 * (after.worker - before.worker)) / units,
  };
}

/** Waits until so many members are in a sorted set. */
export async function untilCount({ redis }: Bench, index: string, count: number): Promise<void> {
  let last = -1;
  for (let still = Date.now(); ; ) {
    const found = await redis.zcard(index);
    if (found >= count) return;
    if (found !== last) still = Date.now();
    if (Date.now() - still > 60_000) throw new Error(`${index} stays at ${found} of ${count}.`);
    last = found;
    await new Promise((resolve) => setTimeout(resolve, count - found > count / 10 ? 10 : 1));
  }
}
