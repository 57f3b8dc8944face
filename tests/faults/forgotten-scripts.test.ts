import * as v from "valibot";
import { expect, test } from "vitest";
import { workflow } from "../../engine/index.ts";
import { engineUnderTest } from "../support/engine-under-test.ts";
import { sized, TIMEOUT_MS } from "../support/faults/settings.ts";
import { rawRedis } from "../support/redis.ts";
import { replicated } from "../support/servers/replicated.ts";

const RUNS = sized(60, 2_000);
const CALLERS = 6;
/** The long lane has a second, with as many of them under a load that is larger. */
const FLUSH_EVERY_MS = sized(100, 1_000);

const inner = workflow("inner", { input: v.number() }).step("double", (n) => 2 * n);
const all = workflow("all", { input: v.object({ n: v.number() }) })
  .map("map", { after: [], over: ({ n }) => [n, n + 1, n + 2, n + 3], limit: 2, run: (n) => n + 1 })
  .sleep("sleep", { after: [], for: 20 })
  .waitFor("signal", { after: [], schema: v.string() })
  .step("limited", {
    after: [],
    limits: { concurrency: 1, key: ({ n }: { n: number }) => String(n % 3) },
    run: ({ n }) => n,
  })
  .child("child", { after: ["limited"], workflow: inner, input: (n) => n })
  .step("join", {
    after: ["map", "child", "sleep", "signal"],
    run: ({ map, child, signal }) => ({ map, child, signal }),
  });

test(
  "Redis forgets every script again and again: runs of every shape complete, and starts are confirmed by pipelines",
  async () => {
    await using pair = await replicated();
    const durability = { replicas: 1, timeoutMs: 4_000 };
    await using engine = await engineUnderTest([all], { url: pair.primary.url, durability });
    await engine.worker();
    await engine.worker();
    const redis = rawRedis(pair.primary.url);
    let flushes = 0;
    const flushing = setInterval(() => {
      flushes += 1;
      void redis.script("FLUSH");
    }, FLUSH_EVERY_MS);
    let next = 0;
    const caller = async () => {
      for (let n = next++; n < RUNS; n = next++) {
        const run = await engine.millrace.runs.start(all, { n });
        expect(run).toMatchObject({ durability: "replicated", created: true });
        await engine.millrace.runs.signal(run.id, "signal", "go");
        const output = { map: [n + 1, n + 2, n + 3, n + 4], child: 2 * n, signal: "go" };
        expect(await engine.ended(run.id)).toMatchObject({ status: "completed", output });
      }
    };
    try {
      await Promise.all(Array.from({ length: CALLERS }, caller));
    } finally {
      clearInterval(flushing);
    }
    const [, unknown] = /errorstat_NOSCRIPT:count=(\d+)/.exec(await redis.info("errorstats"))!;
    console.log(`${flushes} flushes, ${unknown} scripts were not known`);
    expect(flushes).toBeGreaterThan(5);
    expect(Number(unknown)).toBeGreaterThan(flushes);
  },
  TIMEOUT_MS,
);
