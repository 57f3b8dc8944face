import type { Redis } from "ioredis";
import { keysLike } from "../redis-client.ts";
import type { Random } from "./random.ts";
import type { Fault } from "./schedule.ts";

/** Deletes at one instant every key of a database but those that match one of the patterns (of Lua). How many went. */
const FLUSH_BUT = `
local gone = 0
for _, key in ipairs(redis.call('KEYS', '*')) do
  local keep = false
  for i = 1, #ARGV do keep = keep or string.find(key, ARGV[i]) end
  if not keep then gone = gone + redis.call('DEL', key) end
end
return gone`;

/** As a FLUSHALL after which only so much was restored. */
export async function flushBut(redis: Redis, ...patterns: string[]): Promise<number> {
  return (await redis.eval(FLUSH_BUT, 0, ...patterns)) as number;
}

/** What is taken from under runs that move: streams, groups, entries, timers, and all but their records. */
export function losses(redis: Redis, namespace: string): Fault[] {
  const streams = () => keysLike(redis, `{${namespace}:*}:step:*`);
  const pick = async (random: Random) => random.pick(await streams());
  return [
    {
      name: "DEL of a stream",
      async inject(random) {
        const key = await pick(random);
        return `${key}, ${(await redis.multi().xlen(key).del(key).exec())![0]![1]} entries`;
      },
    },
    {
      name: "XGROUP DESTROY",
      async inject(random) {
        const key = await pick(random);
        return `${key}: ${await redis.xgroup("DESTROY", key, "workers")}`;
      },
    },
    {
      name: "a group that is made anew behind what waits",
      async inject(random) {
        const key = await pick(random);
        await redis.multi().xgroup("DESTROY", key, "workers").xgroup("CREATE", key, "workers", "$", "MKSTREAM").exec();
        return key;
      },
    },
    {
      name: "XDEL of half the entries",
      async inject(random) {
        const key = await pick(random);
        const ids = (await redis.xrange(key, "-", "+")).map(([id]) => id).filter(() => random.next() < 0.5);
        return `${key}: ${ids.length === 0 ? 0 : await redis.xdel(key, ...ids)}`;
      },
    },
    {
      name: "DEL of the timers",
      inject: async () => `${await redis.del(...(await keysLike(redis, `{${namespace}:*}:timers`)), "none")}`,
    },
    {
      name: "FLUSHALL of all but records",
      inject: async () => `${await flushBut(redis, "}:run:", "}:log:", "}:once:")} keys`,
    },
  ];
}
