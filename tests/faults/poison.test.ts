import { expect, test } from "vitest";
import { faultBench } from "../support/faults/bench.ts";
import { sized, TIMEOUT_MS } from "../support/faults/settings.ts";
import type { WorkerProcess } from "../support/fleet.ts";

/** As often as a step may take its worker down. */
const DEATHS = 3;

test(
  "a step that kills its process is given up after three deaths, and whatever ran beside it completes",
  async () => {
    const poisoned = sized(1, 30);
    await using bench = await faultBench({ faults: DEATHS * poisoned, leaseMs: 1_000, load: { ms: 10, callers: 4 } });
    const { load, schedule, fleet, journal } = bench;
    let isOver = false;
    const starting = new Set<Promise<void>>();
    /** As whatever watches over processes does: one that dies is followed by another. */
    const watchOver = (worker: WorkerProcess) =>
      worker.exited.then(() => {
        if (isOver) return;
        schedule.note(`worker ${worker.consumer} killed by its step`);
        const next = bench.workers(1).then(([started]) => void watchOver(started!));
        starting.add(next);
      });
    for (const worker of await bench.workers(2)) void watchOver(worker);
    await load.run(40 * poisoned, (n) => (n % 40 === 20 ? { poison: "cross" } : {}));

    const { runs, completed } = await bench.check();
    expect(runs - completed).toBe(poisoned);
    isOver = true;
    await Promise.all(starting);
    const { data: dead } = await fleet.millrace.deadLetters.list({ limit: 100 });
    expect(dead).toHaveLength(poisoned);
    for (const { run, step, error } of dead) {
      expect([step, error.code]).toEqual(["cross", "step_crashed"]);
      const deaths = journal.of("effect").filter((effect) => effect.run === run && effect.step === step);
      expect(deaths.map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
    }
    expect(schedule.injected).toBe(DEATHS * poisoned);
  },
  TIMEOUT_MS,
);
