import { expect, test } from "vitest";
import { CALL_DEADLINE_MS, Client, openForCalls } from "../../engine/redis/client.ts";
import { faultBench } from "../support/faults/bench.ts";
import { sized, TIMEOUT_MS } from "../support/faults/settings.ts";
import { type Mode, openProxy, type TcpProxy } from "../support/proxy.ts";
import { redisUrl } from "../support/redis.ts";

/** What a busy machine may add. */
const SLACK_MS = 1_500;

test(
  "however often replies are lost and connections cut, one request makes one run",
  async () => {
    const cuts = sized(100, 2_000);
    await using callers = await openProxy();
    await using workers = await openProxy();
    const urls = { url: callers.url, workersUrl: workers.url, urls: [redisUrl] };
    await using bench = await faultBench({ ...urls, faults: cuts, load: { callers: 4, ms: 20 } });
    await bench.workers(2);
    const cut = (name: string, proxy: TcpProxy) => ({
      name: `replies to ${name} lost, then cut`,
      async inject() {
        const before = proxy.lost;
        // Not one that hears channels, over which nothing else is asked for.
        await proxy.until((each) => each.carrying("evalsha") > 0);
        proxy.set("drop-replies", "existing");
        await proxy.until(({ lost }) => lost > before);
        return `${proxy.lost - before} replies, ${proxy.cut()} connections`;
      },
    });
    const faults = [cut("callers", callers), cut("workers", workers)];
    const { load, schedule } = bench;
    await load.during(schedule.run(faults, (random) => load.progress(random.whole(1, 3))));

    const keys = new Set(bench.journal.of("acknowledged").map(({ key }) => key));
    const { runs, completed } = await bench.check();
    expect(keys.size).toBeGreaterThan(cuts);
    // Those that were given up may be there too, and are whole.
    const givenUp = new Set(bench.journal.of("asked").map(({ key }) => key)).size - keys.size;
    expect(runs).toBeGreaterThanOrEqual(keys.size);
    expect(runs).toBeLessThanOrEqual(keys.size + givenUp);
    expect(completed).toBe(runs);
  },
  TIMEOUT_MS,
);

test.concurrent.each<[string, Mode | "cut"]>([
  ["whose reply never comes", "drop-replies"],
  ["that never arrives", "black-hole"],
  ["whose connection is cut", "cut"],
])("a call %s settles within its deadline, in a pipeline and as a script too", async (_, mode) => {
  await using proxy = await openProxy();
  const client = new Client(openForCalls(proxy.url, "deadlines"));
  try {
    await client.call("PING");
    // What connects anew fares no better, so nothing is saved by being sent again.
    proxy.set(mode === "cut" ? "black-hole" : mode);
    const from = performance.now();
    const settledAt = (call: Promise<unknown>) =>
      call.then(
        () => "answered",
        (error) => (error.code === "unavailable" ? performance.now() - from : String(error)),
      );
    const script = { name: "echo", source: "return ARGV[1]" };
    const calls = [
      ...Array.from({ length: 20 }, (_, i) => settledAt(client.call("ECHO", i))),
      settledAt(client.pipeline([["PING"], ["ECHO", "a"]])),
      settledAt(client.timed([["PING"]])),
      settledAt(client.run(script, [], ["a"])),
    ];
    await proxy.until(({ lost }) => lost > 0);
    if (mode === "cut") proxy.cut();
    for (const ms of await Promise.all(calls)) {
      expect(ms).toBeTypeOf("number");
      expect(ms).toBeLessThan(CALL_DEADLINE_MS + SLACK_MS);
    }
  } finally {
    client.close();
  }
});
