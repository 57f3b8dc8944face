import { expect, test, vi } from "vitest";
import { completions, openFleet } from "../support/fleet.ts";
import { chain, type RanBy } from "../support/programs/fleet-workflows.ts";
import { KEEPS_ALL_WHEN_KILLED, restartableRedis } from "../support/restartable-redis.ts";

const ONCE = { one: 1, two: 1, three: 1 };

test("Redis is killed while 200 runs move: when it is back, all that were accepted end, each step once", async () => {
  await using redis = await restartableRedis({ args: KEEPS_ALL_WHEN_KILLED });
  await using fleet = await openFleet(redis.url);
  const workers = await Promise.all([1, 2].map(() => fleet.start("--lease-ms", "1500", "--concurrency", "4")));
  const start = (count: number) => Array.from({ length: count }, () => fleet.millrace.runs.start(chain, { ms: 40 }));

  const before = await Promise.all(start(150));
  const completed = () => fleet.millrace.runs.list({ status: "completed", limit: 100 });
  await vi.waitFor(async () => expect((await completed()).data.length).toBeGreaterThanOrEqual(20), {
    ...{ timeout: 10_000, interval: 10 },
  });
  const killedAt = Date.now();
  await redis.kill();
  const meanwhile = Promise.allSettled(start(50));
  // By then they wait for longer and longer between one attempt and the next.
  for (const worker of workers)
    await vi.waitFor(() => expect(worker.output().match(/reading failed/g)?.length).toBeGreaterThanOrEqual(4), {
      timeout: 10_000,
    });
  await redis.start();
  const backAt = Date.now();
  const atWork = new Set<number>();
  while (atWork.size < workers.length) {
    const [run] = await Promise.all(start(1));
    atWork.add(((await fleet.ended(run!.id)).output as RanBy).pid);
    expect(Date.now() - backAt, "both workers are at work again").toBeLessThan(10_000);
  }

  const asked = await meanwhile;
  for (const each of asked) if (each.status === "rejected") expect(each.reason).toMatchObject({ code: "unavailable" });
  const accepted = [...before, ...asked.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []))];
  const endedAt = new Map<string, number>();
  for (const { id } of accepted) {
    const events = await fleet.events(id);
    expect(completions(events)).toEqual(ONCE);
    expect(events.filter(({ attempt = 1 }) => attempt > 1)).toEqual([]);
    expect(events.at(-1)).toMatchObject({ type: "run.completed", seq: events.length });
    endedAt.set(id, Date.parse(events.at(-1)!.at));
  }
  // It was killed in the middle: else nothing was shown.
  const ends = before.map(({ id }) => endedAt.get(id)!);
  expect(ends.filter((at) => at <= killedAt).length).toBeGreaterThanOrEqual(20);
  expect(ends.filter((at) => at > killedAt).length).toBeGreaterThan(10);
  for (const queue of await fleet.millrace.queues()) expect(queue).toMatchObject({ depth: 0, inFlight: 0, dead: 0 });
});
