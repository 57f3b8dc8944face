import { expect, test, vi } from "vitest";
import { type FaultBench, faultBench } from "../support/faults/bench.ts";
import type { Random } from "../support/faults/random.ts";
import { sized, TIMEOUT_MS } from "../support/faults/settings.ts";
import { openProxy } from "../support/proxy.ts";
import { KEEPS_ALL_WHEN_KILLED, restartableRedis } from "../support/restartable-redis.ts";

/** How long after the return of Redis every worker has to be at work again. */
const CONSUMING_WITHIN_MS = 10_000;
const LONGEST_MS = sized(1_500, 60_000);

const lasting = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** How long it takes until each worker has run a step. */
async function consumingAgain({ fleet, journal }: FaultBench): Promise<number> {
  const since = Date.now();
  const all = fleet.workers.map(({ pid }) => pid);
  const again = () => new Set(journal.of("effect").flatMap(({ pid, at }) => (at >= since ? [pid] : [])));
  await vi.waitFor(() => expect([...again()].sort()).toEqual([...all].sort()), { timeout: CONSUMING_WITHIN_MS });
  return Date.now() - since;
}

test(
  "whatever keeps Redis away, and for however long: every worker is at work again soon after its return",
  async () => {
    await using redis = await restartableRedis({ args: KEEPS_ALL_WHEN_KILLED });
    await using proxy = await openProxy(redis.url);
    const urls = { url: proxy.url, workersUrl: proxy.url, urls: [redis.url] };
    await using bench = await faultBench({ ...urls, faults: sized(3, 100), load: { ms: 5, callers: 16 } });
    await bench.workers(2);
    const outage = (name: string, begin: () => Promise<void> | void, end: () => Promise<void> | void) => ({
      name,
      async inject(random: Random) {
        const ms = random.whole(200, LONGEST_MS);
        await begin();
        await lasting(ms);
        await end();
        return `for ${ms} ms, at work again after ${await consumingAgain(bench)} ms`;
      },
    });
    const faults = [
      outage("killed", redis.kill, redis.start),
      outage("stopped", ...([() => redis.signal("SIGSTOP"), () => redis.signal("SIGCONT")] as const)),
      outage(
        "unreachable",
        () => proxy.set("black-hole"),
        () => {
          proxy.set("pass");
          proxy.cut();
        },
      ),
    ];
    const { load, schedule } = bench;
    await load.during(schedule.run(faults, (random) => load.ends(random.whole(1, 20))));
    const { runs, completed } = await bench.check();
    expect(completed).toBe(runs);
  },
  TIMEOUT_MS,
);
