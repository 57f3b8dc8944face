import { expect, test, vi } from "vitest";
import { faultBench } from "../support/faults/bench.ts";
import type { Random } from "../support/faults/random.ts";
import { sized, TIMEOUT_MS } from "../support/faults/settings.ts";
import { rawRedis } from "../support/redis.ts";

const LEASE_MS = 1_000;

test(
  "a worker that stands still for three leases has what it comes to refused: each step has one transition",
  async () => {
    const faults = sized(2, 60);
    await using bench = await faultBench({ faults, leaseMs: LEASE_MS, load: { ms: 300, callers: 24 } });
    await bench.workers(3);
    const { load, schedule, fleet, journal } = bench;
    const redis = rawRedis();
    const held = async (consumer: string) => {
      const steps = ["pack", "leave", "cross", "arrive"].map((step) => `{${fleet.namespace}:0}:step:journey@1:${step}`);
      const rows = await Promise.all(steps.map((key) => redis.xpending(key, "workers", "-", "+", 1_000, consumer)));
      return (rows.flat() as [string][]).map(([id]) => id);
    };
    const stopped = (early: boolean) => ({
      name: `a worker stopped, and woken ${early ? "early" : "late"}`,
      async inject(random: Random) {
        const zombie = random.pick(fleet.workers);
        zombie.kill("SIGSTOP");
        const entries = await held(zombie.consumer);
        expect(entries).not.toEqual([]);
        // Others take up all that it held.
        await vi.waitFor(async () => expect(await held(zombie.consumer)).toEqual([]), { timeout: 20_000 });
        const before = zombie.output().length;
        // It wakes while they are at it, or when they are done.
        if (!early) await load.ends(20);
        zombie.kill("SIGCONT");
        const refused = () =>
          zombie
            .output()
            .slice(before)
            .match(/was refused|is lost/g) ?? [];
        await vi.waitFor(() => expect(refused()).not.toEqual([]), { timeout: 10_000 });
        return `${zombie.consumer} held ${entries.length} entries`;
      },
    });
    await load.during(schedule.run([stopped(true), stopped(false)], (random) => load.ends(random.whole(5, 20))));
    const { runs, completed } = await bench.check();
    expect(completed).toBe(runs);
    // What was taken over was run again, as another attempt.
    expect(journal.of("effect").filter(({ attempt }) => attempt === 2).length).toBeGreaterThanOrEqual(faults);
  },
  TIMEOUT_MS,
);
