import { createHash } from "node:crypto";
import { readdir } from "node:fs/promises";
import { any } from "valibot";
import { expect, test } from "vitest";
import { newRunId } from "../../engine/ids.ts";
import { workflow } from "../../engine/index.ts";
import { NamespaceKeys } from "../../engine/keys.ts";
import type { Script, TellingScript } from "../../engine/scripts/script.ts";
import { engineUnderTest } from "../support/engine-under-test.ts";
import { sized, TIMEOUT_MS } from "../support/faults/settings.ts";
import { eventually } from "../support/gateway.ts";
import { rawRedis } from "../support/redis.ts";
import { restartableRedis } from "../support/restartable-redis.ts";
import { ROOT } from "../support/run.ts";

const HISTORY = sized(4_000, 1_000_000);
const RUNS = sized(120, 20_000);
const AT_ONCE = 500;

const chain = workflow("chain", { input: any() })
  .step("a", (n) => n + 1)
  .step("b", {
    retry: { baseMs: 5, maxMs: 5 },
    run: (n, ctx) => {
      if (n % 20 === 0 && ctx.attempt === 1) throw new Error("once");
      return 2 * n;
    },
  })
  .map("items", { over: (n) => Array.from({ length: n % 50 === 0 ? 120 : 2 }, (_, i) => i), limit: 100, run: (i) => i })
  .step("end", (all) => all.length);

/** Every script's name by its digest, as the slow log has it. */
async function scriptNames(): Promise<Map<string, string>> {
  const names = new Map<string, string>();
  for (const file of await readdir(`${ROOT}engine/scripts`)) {
    if (!file.endsWith(".ts")) continue;
    for (const made of Object.values(await import(`${ROOT}engine/scripts/${file}`)) as Partial<
      Script & TellingScript
    >[]) {
      const source = made?.source ?? made?.telling?.source;
      if (source !== undefined) names.set(createHash("sha1").update(source).digest("hex"), made.name!);
    }
  }
  return names;
}

test("no script is slow enough for BUSY, however long the history is, and whatever is put back", {
  timeout: TIMEOUT_MS,
}, async () => {
  await using server = await restartableRedis({ args: ["--busy-reply-threshold", "50", "--appendfsync", "no"] });
  const redis = rawRedis(server.url);
  await using engine = await engineUnderTest([chain], { url: server.url, partitions: 1 });
  const { millrace } = engine;
  const worker = await engine.worker();
  const first = await engine.run(chain, 1);
  await worker.stop();

  // The history is of copies of one run that has ended.
  const keys = new NamespaceKeys(engine.namespace).partition(0);
  const dumps = await Promise.all([keys.run(first.id), keys.log(first.id)].map((key) => redis.dumpBuffer(key)));
  const indexes = [keys.runsByStatus("default", "completed"), keys.runsByWorkflow("default", "chain")];
  const now = Date.now();
  for (let made = 0; made < HISTORY; made += AT_ONCE) {
    const pipeline = redis.pipeline();
    for (let i = 0; i < AT_ONCE; i += 1) {
      const id = newRunId(0);
      pipeline.restore(keys.run(id), 0, dumps[0]!).restore(keys.log(id), 0, dumps[1]!);
      for (const index of indexes) pipeline.zadd(index, now - HISTORY + made + i, id);
    }
    await pipeline.exec();
  }
  expect(await redis.zcard(indexes[0]!)).toBe(HISTORY + 1);
  await redis.config("SET", "slowlog-log-slower-than", "0");
  await redis.config("SET", "slowlog-max-len", "100000");
  await redis.config("RESETSTAT");
  await redis.slowlog("RESET");

  await engine.worker();
  const second = await engine.worker();
  const started = await Promise.all(Array.from({ length: RUNS }, (_, n) => millrace.runs.start(chain, n)));
  await redis.del(keys.step(chain.graph, "a"), keys.timers());
  await second.reconcile();
  for (const { id } of started)
    await eventually(
      () => millrace.runs.summary(id),
      ({ endedAt }) => endedAt !== undefined,
    );
  await millrace.runs.list({ limit: 100 });

  const slow = ((await redis.slowlog("GET", "100000")) as [number, number, number, string[]][])
    .filter(([, , , [name]]) => /^EVAL/i.test(name!))
    .sort((a, b) => b[2] - a[2]);
  const names = await scriptNames();
  const calls = await redis.info("commandstats");
  const [, count, usec] = /cmdstat_evalsha:calls=(\d+),usec=(\d+)/.exec(calls)!;
  console.log(
    `${HISTORY} ended runs, ${RUNS} live: ${count} script calls, ${(Number(usec) / Number(count)).toFixed(0)} µs each; the slowest:`,
    ...slow
      .slice(0, 3)
      .map(([, , us, [, sha, keyCount]]) => `${us} µs (${names.get(sha!) ?? sha!.slice(0, 40)}, ${keyCount} keys)`),
  );
  expect(slow.length).toBeGreaterThan(0);
  expect(await redis.info("errorstats")).not.toMatch(/errorstat_BUSY:/);
});
