import { expect, test } from "vitest";
import { faultBench } from "../support/faults/bench.ts";
import type { Random } from "../support/faults/random.ts";
import { sized, TIMEOUT_MS } from "../support/faults/settings.ts";
import { openProxy } from "../support/proxy.ts";
import { rawRedis } from "../support/redis.ts";
import { KEEPS_ALL_WHEN_KILLED, restartableRedis } from "../support/restartable-redis.ts";

test(
  "Redis is killed while it rewrites its file under load, again and again: nothing is lost, and nothing done twice",
  async () => {
    await using redis = await restartableRedis({ args: [...KEEPS_ALL_WHEN_KILLED, "--rdb-key-save-delay", "200"] });
    await using proxy = await openProxy(redis.url);
    await using bench = await faultBench({
      url: redis.url,
      workersUrl: proxy.url,
      faults: sized(10, 200),
      load: { callers: 32 },
    });
    await bench.workers(2);
    // A rewrite takes 200 µs a key, so it is still under way when the server is killed.
    const filler = rawRedis(redis.url).pipeline();
    for (let i = 0; i < 1_000; i += 1) filler.set(`filler:${i}`, i);
    await filler.exec();
    const { load, schedule } = bench;
    const killed = {
      name: "rewriting, killed",
      async inject(random: Random) {
        const client = rawRedis(redis.url);
        const before = load.seenToEnd;
        await client.call("BGREWRITEAOF");
        await load.ends(random.whole(0, 5));
        const said = await client.info("persistence");
        client.disconnect();
        // What it has done last, it has told nobody of: the workers ask for it again when it is back.
        const { lost } = proxy;
        await proxy.until((each) => each.carrying("evalsha") > 0);
        proxy.set("drop-replies", "existing");
        await proxy.until((each) => each.lost > lost + 1);
        await redis.kill();
        await redis.start();
        return `${load.seenToEnd - before} runs after it began, ${/aof_rewrite_in_progress:\d/.exec(said)?.[0]}`;
      },
    };
    await load.during(schedule.run([killed], (random) => load.ends(random.whole(10, 50))));
    const { runs, completed } = await bench.check();
    expect(completed).toBe(runs);
    expect(String(schedule)).toContain("aof_rewrite_in_progress:1");
  },
  TIMEOUT_MS,
);
