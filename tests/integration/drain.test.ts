import { expect, test, vi } from "vitest";
import { NamespaceKeys } from "../../engine/keys.ts";
import { completions, type Fleet, openFleet } from "../support/fleet.ts";
import workflows, { chain, lasting, type RanBy } from "../support/programs/fleet-workflows.ts";
import { rawRedis } from "../support/redis.ts";

const DRAIN_MS = 200;
/** Handlers that take so long are still at work when the drain is over. */
const LONG_MS = 3_000;
/** Hundreds of runs at once, with steps that end during the drain and steps that do not. */
const LOAD = ["--concurrency", "200", "--drain-ms", String(DRAIN_MS)];

test("a worker is asked to stop under load: it gives back what it cannot finish, and nothing is charged or done twice", async () => {
  await using fleet = await openFleet();
  const { millrace } = fleet;
  const workers = await Promise.all([fleet.start(...LOAD), fleet.start(...LOAD)]);
  const long = await Promise.all(Array.from({ length: 60 }, () => millrace.runs.start(lasting, { ms: LONG_MS })));
  const short = await Promise.all(
    Array.from({ length: 300 }, (_, i) => millrace.runs.start(chain, { ms: (i % 10) * 2 * DRAIN_MS })),
  );
  // Whichever was quicker may have all of them.
  const stopped = await Promise.any(workers.map((worker) => worker.line(/^lasting /).then(() => worker)));
  const other = workers.find((worker) => worker !== stopped)!;
  await vi.waitFor(async () => expect((await millrace.runs.list({ status: "completed" })).data).not.toEqual([]), {
    ...{ timeout: 10_000, interval: 10 },
  });

  const askedAt = Date.now();
  stopped.kill("SIGTERM");
  expect(await stopped.exited).toEqual({ code: 0, signal: null });
  expect(Date.now() - askedAt).toBeLessThan(DRAIN_MS + 5_000);
  expect(await listed(fleet)).toEqual([other.consumer]);

  let handedOver = 0;
  for (const { id } of long) {
    const events = await fleet.events(id);
    expect(completions(events)).toEqual({ last: 1 });
    const { pid, attempt } = (await millrace.runs.get(id)).output as RanBy;
    expect(attempt).toBe(1);
    if (stopped.output().includes(`lasting ${id}`) && pid === other.pid) handedOver += 1;
  }
  expect(handedOver).toBeGreaterThan(0);
  for (const { id } of short) {
    const events = await fleet.events(id);
    expect(completions(events)).toEqual({ one: 1, two: 1, three: 1 });
    expect(events.filter(({ attempt = 1 }) => attempt > 1)).toEqual([]);
    expect(events.at(-1)).toMatchObject({ type: "run.completed" });
  }
  // Who sends webhooks starts with the first of them.
  const ours = (await millrace.queues()).filter(({ workflow }) => workflow !== "webhook-delivery");
  for (const queue of ours) expect(queue).toMatchObject({ depth: 0, inFlight: 0, delayed: 0, dead: 0, workers: 1 });

  expect(await other.stop()).toEqual({ code: 0, signal: null });
  expect(await listed(fleet)).toEqual([]);
});

/** Every name on the list of workers and in the consumer groups. */
async function listed({ namespace }: Fleet): Promise<string[]> {
  const redis = rawRedis();
  const keys = new NamespaceKeys(namespace).partition(0);
  const names = await redis.hkeys(keys.workers());
  for (const { graph, steps } of workflows)
    for (const { name } of steps) {
      const consumers = (await redis.xinfo("CONSUMERS", keys.step(graph, name), "workers")) as string[][];
      names.push(...consumers.map((consumer) => consumer[consumer.indexOf("name") + 1]!));
    }
  return [...new Set(names)];
}
