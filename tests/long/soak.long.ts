import { mkdir, writeFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { CALL_DEADLINE_MS } from "../../engine/redis/client.ts";
import { adminKey } from "../support/admin-key.ts";
import { engineUnderTest } from "../support/engine-under-test.ts";
import { faultBench } from "../support/faults/bench.ts";
import { callers, chain } from "../support/faults/callers.ts";
import {
  masterKilled,
  onTheWay,
  plannedFailover,
  redisAway,
  scriptsForgotten,
  slotMoved,
  workerEnded,
  workerStopped,
} from "../support/faults/disturb.ts";
import { httpCallers } from "../support/faults/http-callers.ts";
import { MemoryLog, usedBytes } from "../support/faults/memory-log.ts";
import { SOAK_MINUTES } from "../support/faults/settings.ts";
import { startFile } from "../support/process.ts";
import { openProxy } from "../support/proxy.ts";
import { rawRedis } from "../support/redis.ts";
import { connectTo } from "../support/redis-client.ts";
import { KEEPS_ALL_WHEN_KILLED, restartableRedis } from "../support/restartable-redis.ts";
import { ROOT } from "../support/run.ts";
import { aclRedis } from "../support/servers/acl.ts";
import { cluster } from "../support/servers/cluster.ts";
import { Tokens } from "../support/servers/tokens.ts";

const FAULT_EVERY_MS = 30_000;
const TOKEN_LIFE_MS = 20_000;
const PARTITIONS = 6;
/** For the last runs to end, and for the check. */
const AFTERWARDS_MS = 1_800_000;
const SOAK_MS = 60_000 * SOAK_MINUTES;
/** How long each step takes: so that what is done is bounded by that, and not by the machine. */
const STEP_MS = 100;

/** Resolves at the next multiple of `everyMs` since the first call. */
function ticks(everyMs: number): () => Promise<void> {
  const start = performance.now();
  return () => new Promise((resolve) => setTimeout(resolve, everyMs - ((performance.now() - start) % everyMs)));
}

test(
  `${SOAK_MINUTES} minutes with a fault every ${FAULT_EVERY_MS / 1_000} s: nothing is lost, stuck or done twice`,
  async () => {
    // One server, worker processes and a gateway, each over a proxy.
    await using redis = await restartableRedis({ args: KEEPS_ALL_WHEN_KILLED });
    await using toCallers = await openProxy(redis.url);
    await using toWorkers = await openProxy(redis.url);
    await using toGateway = await openProxy(redis.url);
    await using bench = await faultBench({
      ...{ url: toCallers.url, workersUrl: toWorkers.url, urls: [redis.url] },
      faults: Math.floor(SOAK_MS / FAULT_EVERY_MS),
      timeoutMs: SOAK_MS + AFTERWARDS_MS,
      load: { ms: STEP_MS, callers: 6 },
    });
    const [steady] = await bench.workers(3);
    const { load, schedule, fleet, journal } = bench;
    const module = ["--workflows", "tests/support/programs/journey.ts"];
    const gateway = startFile("node", "cli/main.ts", {
      args: ["gateway", "--port", "0", ...module],
      env: { REDIS_URL: toGateway.url, MILLRACE_NAMESPACE: fleet.namespace, LOG_LEVEL: "warning" },
    });
    const url = (await gateway.line(/^listening on /, 60_000)).slice("listening on ".length);

    const headers = await adminKey(fleet.namespace, redis.url);

    // A cluster whose masters are lost, with what they had not replicated.
    await using servers = await cluster();
    await using clustered = await engineUnderTest([chain], { url: servers.url, partitions: PARTITIONS });
    await clustered.worker({ leaseMs: 1_500 });

    // A server whose users end.
    await using guarded = await aclRedis();
    using tokens = new Tokens([rawRedis(guarded.url)], TOKEN_LIFE_MS);
    await using signedIn = await engineUnderTest([chain], { ...guarded, credentials: tokens.provider });
    await signedIn.worker();

    using memory = new MemoryLog(5_000);
    memory.process("worker", steady!.pid);
    memory.process("gateway", gateway.pid);
    memory.redis("redis", () => connectTo(redis.url));
    const before = await bytesOf(redis.url);

    const faults = [
      ...[workerEnded(bench, "SIGKILL", steady), workerEnded(bench, "SIGTERM", steady)],
      ...[workerStopped(bench, "early", redis.url, steady), workerStopped(bench, "late", redis.url, steady)],
      ...[redisAway(redis, "killed", 5_000), redisAway(redis, "stopped", 5_000), scriptsForgotten([redis.url])],
      ...[onTheWay(toCallers, "callers", 3_000), onTheWay(toWorkers, "workers", 3_000)].flat(),
      ...onTheWay(toGateway, "gateway", 3_000),
      ...[plannedFailover(servers), masterKilled(servers), slotMoved(servers)],
    ];
    const done = schedule.run(faults, ticks(FAULT_EVERY_MS));
    const [, overHttp, onCluster, guardedCalls] = await Promise.all([
      load.during(done),
      httpCallers({ url, headers, journal, callers: 2, ms: STEP_MS }, done),
      callers(clustered, done, { count: 2, restMs: STEP_MS, lossy: true }),
      callers(signedIn, done, { count: 1, restMs: STEP_MS }),
    ]);
    const slopes = memory.slopes();
    const bytes = (await bytesOf(redis.url)) - before;
    await gateway.stop();
    const { runs, completed, effects } = await bench.check();
    const { data: dead } = await fleet.millrace.deadLetters.list({ limit: 100 });
    const report = {
      ...{ seed: schedule.seed, minutes: SOAK_MINUTES, faults: schedule.injected, runs, completed, effects },
      ...{
        overHttp,
        onCluster,
        guarded: guardedCalls,
        tokens: tokens.ended,
        slowestCallMs: Math.round(load.slowestMs),
      },
      ...{ slopes, redisBytesPerRun: Math.round(bytes / runs), node: process.version },
    };
    console.log(`${schedule}\n${JSON.stringify(report, null, 2)}`);
    console.table(slopes);
    await mkdir(`${ROOT}.millrace`, { recursive: true });
    await writeFile(`${ROOT}.millrace/soak.json`, JSON.stringify(report, null, 2));
    expect(guardedCalls.refused).toBe(0);
    expect(dead.map(({ error }) => error.code)).toEqual(Array(runs - completed).fill("step_crashed"));
    expect(load.slowestMs).toBeLessThan(3 * CALL_DEADLINE_MS);
    for (const { completed: some } of [overHttp, onCluster, guardedCalls]) expect(some).toBeGreaterThan(SOAK_MINUTES);
  },
  SOAK_MS + AFTERWARDS_MS,
);

async function bytesOf(url: string): Promise<number> {
  const client = connectTo(url);
  const bytes = await usedBytes(client);
  client.disconnect();
  return bytes;
}
