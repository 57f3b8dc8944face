import { expect, test } from "vitest";
import { Loop } from "../../engine/service.ts";

const NEVER_MS = 1e6;

/** A loop each of whose runs lasts until the test ends it. */
function heldLoop() {
  const runs: PromiseWithResolvers<number | undefined>[] = [];
  const started: (() => void)[] = [];
  const loop = new Loop("held", NEVER_MS, () => {
    const run = Promise.withResolvers<number | undefined>();
    runs.push(run);
    for (const resolve of started.splice(0)) resolve();
    return run.promise;
  });
  const nextRun = () => new Promise<void>((resolve) => started.push(resolve));
  return { loop, runs, nextRun };
}

test("runNow comes after the run that is under way, and each call has a run of its own", async () => {
  const { loop, runs, nextRun } = heldLoop();
  const first = nextRun();
  loop.start();
  await first;
  const second = nextRun();
  const done: number[] = [];
  const calls = [1, 2].map((each) => loop.runNow().then(() => done.push(each)));
  runs[0]!.resolve(NEVER_MS);
  await second;
  expect([runs.length, done]).toEqual([2, []]);
  const third = nextRun();
  runs[1]!.resolve(NEVER_MS);
  await third;
  expect([runs.length, done]).toEqual([3, [1]]);
  runs[2]!.reject(new Error("this run fails, and is only logged"));
  await Promise.all(calls);
  await loop.stop();
  await loop.runNow();
  expect(runs).toHaveLength(3);
});
