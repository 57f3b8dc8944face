import { Redis } from "ioredis";
import { CONCURRENCY, type Contender, carried, inParts, STEPS } from "./chain.ts";

const GROUP = "workers";
const KEYS = STEPS.map((step) => `{bare}:${step}`);

async function open(url: string): Promise<Redis> {
  const redis = new Redis(url, { maxRetriesPerRequest: null });
  for (const key of KEYS)
    await redis.call("XGROUP", "CREATE", key, GROUP, "0", "MKSTREAM").catch((error) => {
      if (!String(error).includes("BUSYGROUP")) throw error;
    });
  return redis;
}

/** Reads a batch of each stream, then acknowledges, deletes and adds to the next in one pipeline: no state, no log. */
async function turn(redis: Redis, reader: Redis, consumer: string): Promise<void> {
  const args = ["GROUP", GROUP, consumer, "COUNT", CONCURRENCY, "BLOCK", 2_000, "STREAMS", ...KEYS, ">", ">", ">"];
  const reply = (await reader.call("XREADGROUP", ...args)) as unknown[] | null;
  if (reply === null) return;
  const pipeline = redis.pipeline();
  for (let i = 0; i + 1 < reply.length; i += 2) {
    const key = reply[i] as string;
    const entries = reply[i + 1] as [string, string[]][];
    const next = KEYS[KEYS.indexOf(key) + 1];
    const ids = entries.map(([id]) => id);
    pipeline.xack(key, GROUP, ...ids);
    pipeline.xdel(key, ...ids);
    if (next !== undefined) for (const [, fields] of entries) pipeline.xadd(next, "*", ...fields);
  }
  await pipeline.exec();
}

export const bareLoop: Contender = {
  name: "bare loop",
  settings: `XREADGROUP of up to ${CONCURRENCY} a stream, XACK, XDEL, XADD in one pipeline: no state, no log, no owner check`,
  produce: async (url, options) => {
    const redis = await open(url);
    const add = async (first: number, size: number) => {
      const pipeline = redis.pipeline();
      for (let i = 0; i < size; i += 1)
        pipeline.xadd(KEYS[0]!, "*", "data", JSON.stringify(carried(first + i, options)));
      await pipeline.exec();
    };
    return { add: (count) => inParts(count, 1_000, add), close: async () => redis.disconnect() };
  },
  prepare: async (url) => {
    const [redis, reader] = [await open(url), await open(url)];
    let ended: Promise<void> | undefined;
    let isOpen = true;
    const loop = async () => {
      while (isOpen) await turn(redis, reader, `worker-${process.pid}`);
    };
    return {
      start() {
        ended = loop().catch((error) => {
          if (isOpen) throw error;
        });
      },
      async stop() {
        isOpen = false;
        reader.disconnect();
        await ended;
        redis.disconnect();
      },
    };
  },
  count: async (url) => {
    const redis = await open(url);
    const left = async () => {
      const lengths = await Promise.all(KEYS.map((key) => redis.xlen(key)));
      return lengths.reduce((sum, each) => sum + each, 0);
    };
    return { left, close: async () => redis.disconnect() };
  },
};
