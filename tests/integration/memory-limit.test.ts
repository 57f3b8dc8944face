import { readdir } from "node:fs/promises";
import { any } from "valibot";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { FsBlobStore } from "../../engine/blobs/fs.ts";
import { connect, createWorker, workflow } from "../../engine/index.ts";
import { type PrivateRedis, startPrivateRedis } from "../../engine/redis/private/index.ts";
import { type EngineUnderTest, engineUnderTest } from "../support/engine-under-test.ts";
import { eventually } from "../support/gateway.ts";
import { fillUp } from "../support/memory.ts";
import { rawRedis } from "../support/redis.ts";
import { temporaryDir } from "../support/run.ts";

let server: PrivateRedis;
beforeAll(async () => {
  const args = ["--maxmemory", "5mb", "--maxmemory-policy", "noeviction"];
  server = await startPrivateRedis({ dir: await temporaryDir(), appendOnly: false, args });
});
afterAll(() => server.stop());
beforeEach(async () => {
  await rawRedis(server.url).flushall();
});

/** Emits, remembers, uses, and fails the first attempt of every tenth run. */
const flow = workflow("flow", { input: any() })
  .step("a", {
    retry: { attempts: 3, baseMs: 10 },
    run: async ({ n }: { n: number }, ctx) => {
      if (n % 10 === 0) await ctx.once("paid", () => n);
      ctx.usage({ tokens: 1, key: "k" });
      ctx.emit({ n });
      ctx.progress(1);
      if (ctx.attempt === 1 && n % 10 === 0) throw new Error("once");
      return n;
    },
  })
  .step("b", (n) => n);

/** Starts runs until none is taken any more, and has something else take what is left of the memory. */
async function fill(gateway: EngineUnderTest): Promise<{ accepted: string[]; refused: unknown }> {
  const accepted: string[] = [];
  for (;;) {
    const input = { n: accepted.length, pad: "x".repeat(4_000) };
    try {
      accepted.push((await gateway.millrace.runs.start(flow, input)).id);
    } catch (refused) {
      await fillUp(rawRedis(server.url));
      return { accepted, refused };
    }
  }
}

test("over the memory limit nothing new is taken, and what was taken is done by a worker that starts then", async () => {
  await using gateway = await engineUnderTest([flow], { url: server.url });
  await gateway.millrace.schedules.create({ name: "early", workflow: flow, input: 0, cron: "0 0 1 1 *" });
  const { requests } = gateway.millrace;
  const request = { tenant: "default", scope: "s", key: "k", digest: "d" };
  const attempt = { token: "t", id: "i", seed: "s", leaseMs: 60_000 };
  await requests.begin(request, attempt);
  const { accepted, refused } = await fill(gateway);
  expect(refused).toMatchObject({ code: "overloaded", retryAfterMs: 5_000 });
  expect(accepted.length).toBeGreaterThan(100);
  // Nor is a request begun; one that was is answered.
  await expect(requests.begin({ ...request, key: "another" }, attempt)).rejects.toMatchObject({ code: "overloaded" });
  expect(await requests.begin(request, attempt)).toMatchObject({ state: "mine" });
  expect(await requests.answer(request, "sealed", "")).toBe("sealed");
  // What is to be turned off in an emergency must be possible to turn off.
  await gateway.millrace.config.set("accepting", false);
  await gateway.millrace.invalidate("models");

  const { schedules } = gateway.millrace;
  let made = 0;
  const refusedSchedule = await (async () => {
    for (;;) {
      try {
        await schedules.create({ name: `s${made}`, workflow: flow, input: "x".repeat(1_000), cron: "0 0 1 1 *" });
        made += 1;
      } catch (error) {
        return error;
      }
    }
  })();
  expect(refusedSchedule).toMatchObject({ code: "unavailable", message: expect.stringContaining("OOM") });
  await expect(schedules.get(`s${made}`)).rejects.toMatchObject({ code: "not_found" });
  expect(await schedules.pause("early")).toMatchObject({ status: "paused" });
  expect(await schedules.resume("early")).toMatchObject({ status: "active" });

  // What holds work back must work then, too.
  const { millrace } = gateway;
  const high = millrace.runs.start(flow, { n: 0 }, { priority: "high" });
  await expect(high).rejects.toMatchObject({ code: "overloaded" });
  await millrace.pause({ workflow: "flow" });
  await millrace.resume({ workflow: "flow" });
  await millrace.pause({ tenant: "default" });
  await gateway.worker();
  await eventually(millrace.queues, ([queue]) => queue!.delayed === accepted.length);
  await millrace.resume({ tenant: "default" });

  for (const [n, id] of accepted.entries())
    expect(await gateway.ended(id)).toMatchObject({ status: "completed", output: n });
  // As often as a first attempt was made, and a second one of every tenth.
  const { tokens } = await gateway.millrace.usage({ key: "k" });
  expect(tokens).toBe(accepted.length + Math.ceil(accepted.length / 10));
  expect((await gateway.millrace.runs.list({ status: "queued" })).data).toEqual([]);
  expect((await gateway.millrace.runs.list({ status: "running" })).data).toEqual([]);
});

test("over the memory limit a large input that is refused is not left in the blob store", async () => {
  const dir = await temporaryDir();
  const files = async () =>
    (await readdir(dir, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile()).length;
  await using gateway = await engineUnderTest([flow], { url: server.url, blobs: new FsBlobStore(dir) });
  const { accepted } = await fill(gateway);
  const large = { n: 1, pad: "x".repeat(50_000) };
  for (let tries = 0; tries < 3; tries += 1)
    await expect(gateway.millrace.runs.start(flow, large)).rejects.toMatchObject({ code: "overloaded" });
  expect(await files()).toBe(0);
  for (const id of accepted) {
    await gateway.millrace.runs.cancel(id);
    await gateway.millrace.runs.delete(id);
  }
  // How full Redis is is looked at once a second.
  const start = () => gateway.millrace.runs.start(flow, large).catch(() => undefined);
  const { id } = (await eventually(start, (run) => run !== undefined))!;
  expect(await gateway.millrace.runs.get(id)).toMatchObject({ input: large });
});

test("over the memory limit runs that are no longer kept are deleted, which makes room", async () => {
  await using gateway = await engineUnderTest([flow], { url: server.url });
  const { accepted } = await fill(gateway);
  for (const id of accepted) await gateway.millrace.runs.cancel(id);
  await expect(gateway.millrace.runs.start(flow, { n: 1 })).rejects.toMatchObject({ code: "overloaded" });
  await gateway.millrace.runs.delete(accepted.pop()!);

  const forgetful = workflow("flow", { input: any(), retention: { count: 10 } })
    .step("a", (input) => input)
    .step("b", (input) => input);
  const sweeper = await connect({ url: server.url, namespace: gateway.namespace, workflows: [forgetful] });
  const worker = createWorker(sweeper);
  await worker.start();
  await eventually(
    async () => (await gateway.millrace.runs.list({ limit: 100 })).data.length,
    (left) => left === 10,
  );
  await worker.stop();
  await sweeper.close();
  const start = () => gateway.millrace.runs.start(flow, { n: 1 }).catch(() => undefined);
  expect(await eventually(start, (run) => run !== undefined)).toMatchObject({ created: true });
});

test("over the limit runs are moved to another version", async () => {
  const next = workflow("flow", { version: 2, input: any() }).waitFor("go", { schema: any() });
  await using gateway = await engineUnderTest([flow], { url: server.url });
  await using engine = await engineUnderTest([flow, next], {
    ...{ url: server.url, namespace: gateway.namespace },
  });
  const { accepted } = await fill(gateway);
  const { migrate } = engine.millrace;
  const moved = await migrate({ workflow: "flow", from: 1, to: 2, limit: 100 }, () => ({ at: "go" }));
  expect(moved).toMatchObject({ moved: 100, left: [] });
  const free = await migrate({ workflow: "flow", from: 1, to: 2 }, () => "cancel");
  expect(free.cancelled).toBe(accepted.length - 100);
});

test("over the limit keys are rotated and revoked, tickets redeemed, and limits kept to", async () => {
  await using gateway = await engineUnderTest([flow], { url: server.url });
  const { keys, tickets, rateLimits, quotas } = gateway.millrace.access;
  const made = await keys.create({ name: "ci", scopes: ["admin"] });
  const { ticket } = await tickets.issue({ runs: ["a"] });
  await fill(gateway);
  await expect(keys.create({ name: "ci", scopes: ["admin"] })).rejects.toMatchObject({ code: "unavailable" });
  const rotated = await keys.rotate(made.id, { overlapMs: 0 });
  expect(await keys.verify(made.secret)).toBeUndefined();
  expect(await keys.verify(rotated.secret)).toMatchObject({ id: made.id });
  await keys.revoke(made.id);
  expect(await keys.verify(rotated.secret)).toBeUndefined();
  expect(await tickets.redeem(ticket)).toMatchObject({ runs: ["a"] });
  for (const allowed of [true, true, false]) {
    expect(await rateLimits.take("ci", { requests: 2, windowMs: 86_400_000 })).toMatchObject({ allowed });
    expect(await quotas.takeOfDay("ci", 2)).toMatchObject({ allowed });
  }
});
