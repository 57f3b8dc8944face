import { expect, test } from "vitest";
import { createWorker } from "../../engine/index.ts";
import { faultBench } from "../support/faults/bench.ts";
import { losses } from "../support/faults/losses.ts";
import { sized, TIMEOUT_MS } from "../support/faults/settings.ts";
import { RETRY } from "../support/programs/journey.ts";
import { rawRedis } from "../support/redis.ts";
import { restartableRedis } from "../support/restartable-redis.ts";

const RUNS = sized(150, 20_000);
const FAULTS = sized(8, 300);

test("streams, groups, entries, timers and all but records are lost under load: every run ends, each step once", {
  timeout: TIMEOUT_MS,
}, async () => {
  await using server = await restartableRedis();
  await using bench = await faultBench({ url: server.url, faults: FAULTS, load: { ms: 5 } });
  const { fleet, schedule, load, journal } = bench;
  await bench.workers(2);
  const throws = (n: number) => (n % 7 === 0 ? { throws: "leave" } : {});
  const loaded = load.run(RUNS, throws);
  const faults = losses(rawRedis(server.url), fleet.namespace);
  await schedule.run(faults, () => load.progress(Math.floor(RUNS / (FAULTS + 2))));
  // What nobody notices by itself is found within a minute, which a test does not wait for.
  const worker = createWorker(fleet.millrace, { env: { JOURNAL: journal.path }, leaseMs: 1_500 });
  await worker.start();
  await worker.reconcile();
  await loaded;
  const checked = await bench.check({ policy: { attempts: RETRY.attempts, crashes: 3, groupsWereLost: true } });
  await worker.stop();
  expect(checked.completed).toBe(checked.runs);
  expect(checked.runs).toBeGreaterThanOrEqual(load.acknowledged);
});
