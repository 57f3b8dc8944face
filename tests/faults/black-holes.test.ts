import { expect, test, vi } from "vitest";
import { faultBench } from "../support/faults/bench.ts";
import { sized, TIMEOUT_MS } from "../support/faults/settings.ts";
import { openProxy } from "../support/proxy.ts";
import { rawRedis, redisUrl } from "../support/redis.ts";

/** Of the workflow: the slots of an idle worker are shared out among them. */
const STEPS = 4;

test(
  "workers whose connections all go dead, while new ones can be made, take up work again over those",
  async () => {
    await using proxy = await openProxy();
    const options = { workersUrl: proxy.url, worker: ["--concurrency", "4"], load: { ms: 20 } };
    await using bench = await faultBench({ ...options, faults: sized(1, 50) });
    const { load, schedule, journal } = bench;
    const [one, other] = await bench.workers(2);
    const dead = {
      name: "every connection of the workers dead",
      async inject() {
        const before = proxy.connections;
        const { open, lost } = proxy;
        proxy.set("black-hole", "existing");
        const since = Date.now();
        await proxy.until((each) => each.lost > lost);
        // Each of the two has one for calls, one for reading and one that hears.
        await proxy.until(({ connections }) => connections >= before + 6);
        const again = () => new Set(journal.of("effect").flatMap(({ pid, at }) => (at > since + 1_000 ? [pid] : [])));
        await vi.waitFor(() => expect(again()).toEqual(new Set([one!.pid, other!.pid])), { timeout: 20_000 });
        return `${open} connections, at work again after ${Date.now() - since} ms`;
      },
    };
    await load.during(schedule.run([dead], () => load.ends(2)));
    expect((await bench.check()).completed).toBeGreaterThan(10);
  },
  TIMEOUT_MS,
);

test(
  "entries that were delivered over a connection that is dead are run by the worker that they are pending for",
  async () => {
    const count = sized(60, 500);
    await using proxy = await openProxy();
    // No lease runs out within the test: nobody else would take them up.
    const options = { workersUrl: proxy.url, leaseMs: 60_000, worker: ["--concurrency", String(STEPS * count)] };
    await using bench = await faultBench({ ...options, load: { watchedOf: 0 }, faults: 1 });
    const { load, schedule, journal, fleet } = bench;
    await load.run(count);
    proxy.set({ dropRepliesTo: "xreadgroup" });
    const [worker] = await bench.workers(1);
    const stream = `{${fleet.namespace}:0}:step:journey@1:pack`;
    const redis = rawRedis();
    const pending = async () =>
      (await redis.xpending(stream, "workers", "-", "+", 1_000, worker!.consumer)) as unknown[][];
    await vi.waitFor(async () => expect(await pending()).toHaveLength(load.acknowledged), { timeout: 10_000 });
    expect(journal.of("effect")).toEqual([]);
    schedule.note(`${load.acknowledged} entries in lost replies`);
    proxy.set("pass", "new");

    const { runs } = await bench.check({ urls: [redisUrl] });
    expect(runs).toBe(load.acknowledged);
    // A reply that was lost is not the fault of any attempt.
    expect(journal.of("effect").filter(({ attempt }) => attempt > 1)).toEqual([]);
  },
  TIMEOUT_MS,
);
