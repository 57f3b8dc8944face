import { expect, test } from "vitest";
import { CALL_DEADLINE_MS } from "../../engine/redis/client.ts";
import { faultBench } from "../support/faults/bench.ts";
import { onTheWay } from "../support/faults/disturb.ts";
import { sized, TIMEOUT_MS } from "../support/faults/settings.ts";
import { openProxy } from "../support/proxy.ts";
import { redisUrl } from "../support/redis.ts";

const FAULTS = sized(100, 2_000);
const WITHIN_MS = 5 * TIMEOUT_MS;
/** What a busy machine may add. */
const SLACK_MS = 2_500;

test(
  "whatever happens on the way to Redis, and to whom: every call settles in its deadline, and every run ends",
  async () => {
    await using callers = await openProxy();
    await using workers = await openProxy();
    const urls = { url: callers.url, workersUrl: workers.url, urls: [redisUrl] };
    await using bench = await faultBench({ ...urls, faults: FAULTS, timeoutMs: WITHIN_MS, load: { ms: 5 } });
    await bench.workers(2);
    const { load, schedule } = bench;
    const faults = [...onTheWay(callers, "callers", 400), ...onTheWay(workers, "workers", 400)];
    await load.during(schedule.run(faults, (random) => load.ends(random.whole(1, 5))));
    const { runs, completed } = await bench.check();
    expect(completed).toBe(runs);
    expect(load.slowestMs).toBeLessThan(2 * CALL_DEADLINE_MS + SLACK_MS);
  },
  WITHIN_MS,
);
