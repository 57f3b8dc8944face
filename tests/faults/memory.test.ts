import { expect, test } from "vitest";
import { connect, createWorker, OverloadedError } from "../../engine/index.ts";
import { openDoor } from "../../gateway/access/open-door.ts";
import { createApp } from "../../gateway/app.ts";
import { type FaultBench, faultBench } from "../support/faults/bench.ts";
import { sized, TIMEOUT_MS } from "../support/faults/settings.ts";
import { fillUp, JUNK, memoryOf } from "../support/memory.ts";
import { type Baggage, journey } from "../support/programs/journey.ts";
import { freshNamespace, rawRedis } from "../support/redis.ts";
import { keysLike } from "../support/redis-client.ts";
import { restartableRedis } from "../support/restartable-redis.ts";

/** This gateway is called without a socket. */
const noSockets = (() => () => undefined) as unknown as Parameters<typeof createApp>[0]["upgradeWebSocket"];

const limited = (maxmemory: string, policy: string) =>
  restartableRedis({ args: ["--maxmemory", maxmemory, "--maxmemory-policy", policy] });

/** Starts runs until none is taken any more. How many were. */
async function admitUntilRefused({ fleet, journal }: FaultBench): Promise<number> {
  for (let n = 0; ; n += 1) {
    const key = `${n} ${"x".repeat(2_000)}`;
    const input: Baggage = { key, by: "", ms: 0 };
    journal.add({ what: "asked", key, tenant: "default" });
    try {
      const { id, workflow } = await fleet.millrace.runs.start(journey, input);
      journal.add({ what: "acknowledged", key, tenant: "default", run: id, workflow });
    } catch (error) {
      if (!(error instanceof OverloadedError)) throw error;
      journal.add({ what: "unconfirmed", key, code: error.code });
      return n;
    }
  }
}

test("runs are admitted until memory is short, and then the rest of it is taken, and a stream: all that were accepted end", {
  timeout: TIMEOUT_MS,
}, async () => {
  await using server = await limited(sized("3mb", "64mb"), "noeviction");
  const redis = rawRedis(server.url);
  await using bench = await faultBench({ url: server.url, faults: 2 });
  // What it serves is known here from before: a worker of new definitions does not start where there is no room for them.
  const [before] = await bench.workers(1);
  await before!.stop();
  // The first waits for its time, as a timer row.
  const later: Baggage = { key: "later", by: "", ms: 0 };
  const { id } = await bench.fleet.millrace.runs.start(journey, later, { delayMs: 500 });
  bench.journal.add({ what: "acknowledged", key: "later", tenant: "default", run: id, workflow: "journey" });
  const accepted = 1 + (await admitUntilRefused(bench));
  bench.schedule.note(`refused after ${accepted} runs at ${await memoryOf(redis)} bytes`);
  expect(await memoryOf(redis)).toBeGreaterThan(0.8 * (await memoryOf(redis, "maxmemory")));

  const [stream] = await keysLike(redis, "*:step:journey@1:pack");
  await redis.del(stream!, ...(await keysLike(redis, "*:timers")));
  bench.schedule.note(
    `lost the first step's stream and the timers, and ${await fillUp(redis)} bytes of others' until Redis is full`,
  );
  await bench.workers(1);
  const worker = createWorker(bench.fleet.millrace, { env: { JOURNAL: bench.journal.path }, leaseMs: 1_500 });
  await worker.start();
  await worker.reconcile();
  const checked = await bench.check();
  await worker.stop();
  expect(checked).toMatchObject({ runs: accepted, completed: accepted });
  expect(accepted).toBeGreaterThan(sized(100, 5_000));
});

test("a gateway answers 429 and when to come back, and a repeated request as the first", async () => {
  await using server = await limited("8mb", "noeviction");
  const redis = rawRedis(server.url);
  const millrace = await connect({ url: server.url, namespace: freshNamespace(), workflows: [journey] });
  const app = createApp({ millrace, door: openDoor, upgradeWebSocket: noSockets });
  const post = (key: string) =>
    app.request("/v1/workflows/journey/runs", {
      method: "POST",
      headers: { "Content-Type": "application/json", "Idempotency-Key": key },
      body: JSON.stringify({ input: { key, by: "", ms: 0 } }),
    });
  const first = await post("one");
  expect(first.status).toBe(202);
  await fillUp(redis);
  const refusal = async () => {
    for (;;) {
      const answer = await post(crypto.randomUUID());
      if (answer.status !== 202) return answer;
    }
  };
  const refused = await refusal();
  expect(refused.status).toBe(429);
  expect(refused.headers.get("retry-after")).toBe("5");
  expect(refused.headers.get("content-type")).toBe("application/problem+json");
  expect(await refused.json()).toMatchObject({ type: "urn:millrace:problem:overloaded", status: 429 });
  const again = await post("one");
  expect(again.status).toBe(202);
  expect((await again.json()).id).toBe((await first.json()).id);
  for (const key of await keysLike(redis, `${JUNK}*`)) await redis.del(key);
  await expect.poll(async () => (await post("two")).status).toBe(202);
  await millrace.close();
});
