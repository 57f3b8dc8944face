import { expect, test } from "vitest";
import { faultBench } from "../support/faults/bench.ts";
import { workerStopped } from "../support/faults/disturb.ts";
import { sized, TIMEOUT_MS } from "../support/faults/settings.ts";
import { redisUrl } from "../support/redis.ts";

const WITHIN_MS = 5 * TIMEOUT_MS;

test(
  "a worker that stands still for three leases has what it comes to refused: each step has one transition",
  async () => {
    const faults = sized(20, 60);
    await using bench = await faultBench({
      ...{ faults, leaseMs: 1_000, timeoutMs: WITHIN_MS },
      load: { ms: 300, callers: 24 },
    });
    await bench.workers(3);
    const { load, schedule, journal } = bench;
    const stopped = (["early", "late"] as const).map((when) => workerStopped(bench, when, redisUrl));
    await load.during(schedule.run(stopped, (random) => load.ends(random.whole(5, 20))));
    const { runs, completed } = await bench.check();
    expect(completed).toBe(runs);
    // What was taken over was run again, as another attempt.
    expect(journal.of("effect").filter(({ attempt }) => attempt === 2).length).toBeGreaterThanOrEqual(faults);
  },
  WITHIN_MS,
);
