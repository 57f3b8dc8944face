import { readFile, writeFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { keysFrom, startAll } from "../support/confirmed.ts";
import { counting } from "../support/counting.ts";
import { engineUnderTest } from "../support/engine-under-test.ts";
import { AppendOnlyFile, fsynced } from "../support/faults/append-only-file.ts";
import { caseOf } from "../support/faults/case.ts";
import { violationsOf } from "../support/faults/check.ts";
import { Journal } from "../support/faults/journal.ts";
import { Schedule } from "../support/faults/schedule.ts";
import { sized, TIMEOUT_MS } from "../support/faults/settings.ts";
import { readWorld } from "../support/faults/world.ts";
import { openFleet } from "../support/fleet.ts";
import { rawRedis } from "../support/redis.ts";
import { restartableRedis } from "../support/restartable-redis.ts";
import { temporaryDir } from "../support/run.ts";

/** Of the check's invariants those that hold at any moment of a run. */
const AT_ANY_MOMENT = [2, 6, 7, 8, 9];

test(
  "a power cut at any byte of the file: nothing that was confirmed as on disk by then is lost, and no transition is half",
  async () => {
    await using redis = await restartableRedis({ args: ["--appendfsync", "always"] });
    const module = "tests/support/counting.ts";
    await using fleet = await openFleet(redis.url, { workflows: [counting], module, durability: "disk" });
    const cuts = sized(20, 500);
    const schedule = new Schedule(cuts + 1);
    const { random } = schedule;
    const worker = await fleet.start("--concurrency", "4", "--lease-ms", "1000");

    // How long the file was when each run was confirmed, or a little later.
    const confirmedAt = new Map<string, number>();
    const first = (await AppendOnlyFile.in(redis.dir)).bytes;
    const caller = async (n: number) => {
      for (let i = 0; i < sized(8, 100); i += 1) {
        const { id, durability } = await fleet.millrace.runs.start(counting, { n });
        expect(durability).toBe("disk");
        confirmedAt.set(id, (await AppendOnlyFile.in(redis.dir)).bytes);
      }
    };
    await Promise.all(Array.from({ length: 6 }, (_, n) => caller(n)));
    // Some are at their end then, some under way, and some have yet to begin.
    await fleet.ended([...confirmedAt.keys()][sized(12, 150)]!);
    worker.kill("SIGKILL");
    await worker.exited;
    await redis.kill();
    const file = await AppendOnlyFile.in(redis.dir);
    const whole = await readFile(file.path);

    const journal = new Journal(`${await temporaryDir()}/journal`);
    const policy = { attempts: 5, crashes: 3 };
    const offsets = Array.from({ length: cuts }, () => random.whole(first, file.bytes));
    let halfway = 0;
    // To its last fsync, which with `always` is its last reply; and anywhere.
    for (const offset of [file.bytes, ...offsets]) {
      await writeFile(file.path, whole.subarray(0, offset));
      await redis.start();
      const all = caseOf(await readWorld([redis.url], fleet.namespace), fleet.namespace, journal, policy);
      const lost = [...confirmedAt].filter(([id, bytes]) => bytes <= offset && !all.runs.has(id));
      const broken = violationsOf(all).filter(({ rule }) => AT_ANY_MOMENT.includes(rule));
      expect({ offset, lost, broken }, String(schedule)).toEqual({ offset, lost: [], broken: [] });
      if ([...all.runs.values()].some(({ log }) => log.some(({ type }) => type === "step.completed"))) halfway += 1;
      schedule.note(`cut at ${offset} of ${file.bytes} bytes, ${all.runs.size} runs`);
      if (schedule.injected <= cuts) await redis.kill();
    }
    schedule.complete();
    expect(halfway).toBeGreaterThan(1);

    // What has survived the last one goes on from there.
    await fleet.start("--lease-ms", "1000");
    const { runs } = caseOf(await readWorld([redis.url], fleet.namespace), fleet.namespace, journal, policy);
    for (const [id, { fields }] of runs) {
      const { n } = JSON.parse(fields.input!) as { n: number };
      expect(await fleet.ended(id)).toMatchObject({ status: "completed", output: n + 3 });
    }
  },
  TIMEOUT_MS,
);

test("of what a power cut takes from a file that is fsynced every second, nothing was said to be on disk", async () => {
  await using redis = await restartableRedis();
  await using engine = await engineUnderTest([counting], { url: redis.url });
  const client = rawRedis(redis.url);
  const before = await startAll(engine.millrace, keysFrom("before-", 20));
  const mark = await fsynced(redis.dir, client);
  const after = await startAll(engine.millrace, keysFrom("after-", 20));
  await redis.kill();
  await (await AppendOnlyFile.in(redis.dir)).cutAt(mark.bytes);
  await redis.start();
  const there = async (id: string) => (await engine.millrace.runs.get(id).catch(() => undefined)) !== undefined;
  for (const { id } of before.confirmed.values()) expect(await there(id)).toBe(true);
  const lost = [];
  for (const run of after.confirmed.values()) if (!(await there(run.id))) lost.push(run.durability);
  expect(lost).toEqual(Array.from({ length: 20 }, () => "memory"));
});
