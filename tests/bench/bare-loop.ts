import { Redis } from "ioredis";
import { CONCURRENCY, type Contender, STEPS } from "./chain.ts";

const GROUP = "workers";
const key = (step: string) => `{bare}:${step}`;

async function withStreams<T>(url: string, use: (redis: Redis, reader: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(url, { maxRetriesPerRequest: null });
  const reader = new Redis(url, { maxRetriesPerRequest: null });
  try {
    for (const step of STEPS) await redis.call("XGROUP", "CREATE", key(step), GROUP, "0", "MKSTREAM");
    return await use(redis, reader);
  } finally {
    redis.disconnect();
    reader.disconnect();
  }
}

/** Reads a batch of a stream, then acknowledges, deletes and adds to the next in one pipeline: no state, no log. */
async function turn(redis: Redis, reader: Redis, blockMs: number): Promise<number> {
  const streams = STEPS.map(key);
  const blocking = blockMs > 0 ? ["BLOCK", blockMs] : [];
  const args = ["GROUP", GROUP, "bench", "COUNT", CONCURRENCY, ...blocking, "STREAMS", ...streams, ">", ">", ">"];
  const reply = (await reader.call("XREADGROUP", ...args)) as unknown[] | null;
  if (reply === null) return 0;
  let ended = 0;
  const pipeline = redis.pipeline();
  for (let i = 0; i + 1 < reply.length; i += 2) {
    const stream = reply[i] as string;
    const entries = reply[i + 1] as [string, string[]][];
    const next = streams[streams.indexOf(stream) + 1];
    const ids = entries.map(([id]) => id);
    pipeline.xack(stream, GROUP, ...ids);
    pipeline.xdel(stream, ...ids);
    if (next === undefined) ended += ids.length;
    else for (const [, fields] of entries) pipeline.xadd(next, "*", ...fields);
  }
  await pipeline.exec();
  return ended;
}

export const bareLoop: Contender = {
  name: "bare loop",
  settings: `XREADGROUP of up to ${CONCURRENCY} a stream, XACK, XDEL, XADD: no state, no log, no owner check`,
  drain: (url, runs) =>
    withStreams(url, async (redis, reader) => {
      for (let at = 0; at < runs; at += 1_000) {
        const pipeline = redis.pipeline();
        for (let i = 0; i < Math.min(1_000, runs - at); i += 1) pipeline.xadd(key("one"), "*", "n", String(at + i));
        await pipeline.exec();
      }
      const from = performance.now();
      for (let ended = 0; ended < runs; ) ended += await turn(redis, reader, 0);
      return performance.now() - from;
    }),
  idle: (url, runs) =>
    withStreams(url, async (redis, reader) => {
      const took: number[] = [];
      for (let i = 0; i < runs; i += 1) {
        const from = performance.now();
        let ended = turn(redis, reader, 2_000);
        await redis.xadd(key("one"), "*", "n", String(i));
        while ((await ended) === 0) ended = turn(redis, reader, 2_000);
        took.push(performance.now() - from);
      }
      return took;
    }),
};
