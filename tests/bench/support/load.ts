import { type ContenderName, contenders } from "../contenders/index.ts";
import { untilLeft } from "./drain.ts";
import type { Bench, Child } from "./processes.ts";
import { settings } from "./settings.ts";

/** Chains a second that are both added and worked off, each by a process, while nothing else goes on. */
export async function sustained({ redis, url }: Bench, name: ContenderName, worker: Child): Promise<number> {
  await redis.flushall();
  await worker.call("prepare", { url });
  const counter = await contenders[name].count(url);
  const producer = await contenders[name].produce(url);
  const from = performance.now();
  await worker.call("start");
  await producer.add(settings.runs);
  await untilLeft(counter, settings.runs);
  const took = performance.now() - from;
  await worker.call("stop");
  await producer.close();
  await counter.close();
  return (settings.runs * 1_000) / took;
}

/** Has `loader` add chains at that rate while `measure` goes on; at a rate of 0 nothing. */
export async function underLoad<T>(url: string, loader: Child, rate: number, measure: () => Promise<T>): Promise<T> {
  if (rate === 0) return measure();
  await loader.call("load", { url, rate });
  await new Promise((resolve) => setTimeout(resolve, 500));
  try {
    return await measure();
  } finally {
    await loader.call("unload");
  }
}
