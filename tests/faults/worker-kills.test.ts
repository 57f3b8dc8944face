import { expect, test } from "vitest";
import { faultBench } from "../support/faults/bench.ts";
import { workerEnded } from "../support/faults/disturb.ts";
import { sized, TIMEOUT_MS } from "../support/faults/settings.ts";

const RUNS = sized(5_000, 100_000);
const KILLS = sized(100, 1_000);
const WITHIN_MS = 7 * TIMEOUT_MS;

test(
  "workers are killed one after the other: every run ends, with one transition for each of its steps",
  async () => {
    await using bench = await faultBench({ faults: KILLS, timeoutMs: WITHIN_MS, load: { callers: 30, ms: 100 } });
    await bench.workers(4);
    const { load, schedule, fleet } = bench;
    const done = async () => {
      await schedule.run([workerEnded(bench, "SIGKILL")], (random) => load.ends(random.whole(0, 40)));
      await load.progress(Math.max(0, RUNS - load.acknowledged));
    };
    await load.during(done());
    const { runs, completed } = await bench.check();
    expect(runs).toBeGreaterThanOrEqual(RUNS);
    // A step that three of them had in hand is given up.
    const { data: dead } = await fleet.millrace.deadLetters.list({ limit: 100 });
    expect(dead.map(({ error }) => error.code)).toEqual(Array(runs - completed).fill("step_crashed"));
    console.log(`${runs} runs, ${KILLS} kills, ${dead.length} given up, slowest call ${Math.round(load.slowestMs)} ms`);
  },
  WITHIN_MS,
);
