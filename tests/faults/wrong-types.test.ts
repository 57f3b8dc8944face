import { readdir } from "node:fs/promises";
import type { Redis } from "ioredis";
import { any } from "valibot";
import { expect, test } from "vitest";
import { connectBy } from "../../engine/connect.ts";
import { bodyOf, createWorker, FatalError, type Millrace, workflow } from "../../engine/index.ts";
import { NamespaceKeys } from "../../engine/keys.ts";
import { startTemporaryRedis } from "../../engine/redis/private/index.ts";
import { MemoryBlobs } from "../../engine/testing/memory-blobs.ts";
import { ScriptCalls, withWrongType } from "../support/faults/script-calls.ts";
import { eventually } from "../support/gateway.ts";
import { rawRedis } from "../support/redis.ts";
import { ROOT } from "../support/run.ts";

/** They answer for each row, or each run: one whose keys are wrong is put off, and the others are carried out. */
const ROW_BY_ROW = /^(?:promote|reconcile) with \S+ of a wrong type said \[[-\d,]+\]/;
/** Not run by workers: the first by the test kit alone. */
const ELSEWHERE = ["rest", "script"];
const NAMESPACE = "wrong-types";

const part = workflow("part", { input: any() }).step("do", (n) => n);
/** Does everything that a workflow can. */
const all = workflow("all", { input: any() })
  .step("first", {
    limits: { rate: { count: 1, windowMs: 100 }, key: () => "k" },
    undo: () => null,
    run: async (input, ctx) => {
      ctx.usage({ tokens: 1, key: "k" });
      return ctx.once("paid", () => input);
    },
  })
  .map("each", { over: () => [1, 2, 3], run: (n: number) => n })
  .sleep("nap", 1)
  .child("part", { workflow: part, input: () => 1 })
  .waitFor("go", { schema: any() })
  .step("last", (input) => {
    if (input === "fail") throw new FatalError("no");
    return input;
  });
const undone = workflow("undone", { input: any() })
  .step("do", {
    run: () => 1,
    undoRetry: { attempts: 1 },
    undo: () => {
      throw new FatalError("cannot be undone");
    },
  })
  .step("fail", () => {
    throw new FatalError("no");
  });
const failing = workflow("failing", { input: any() })
  .step("do", () => 1)
  .step("fail", () => {
    throw new FatalError("no");
  });
const held = (version: number) => workflow("held", { version, input: any() }).waitFor("go", { schema: any() });

/** Has every script run that the engine has. */
async function live(millrace: Millrace, looking: Redis): Promise<void> {
  const { runs, deadLetters, schedules, subscriptions, config, uploads } = millrace;
  const has = async (id: string, wanted: string) =>
    eventually(
      () => runs.summary(id),
      ({ status }) => status === wanted,
    );
  let refusing = true;
  const consumer = await millrace.subscribe({ group: "all", retry: { attempts: 2, baseMs: 1 }, leaseMs: 300 }, () => {
    if (refusing) throw new Error("not now");
  });
  const worker = createWorker(millrace, { leaseMs: 300 });
  await worker.start();
  await config.set("a", 1);
  await millrace.invalidate("models");

  // Two at once: one waits at the gate.
  await runs.start(all, 2);
  const one = await runs.start(all, 1, {
    idempotency: { scope: "s", key: "k", digest: "d" },
    tags: ["t"],
    ttlMs: 5_000,
  });
  await has(one.id, "waiting");
  await runs.signal(one.id, "go", "fail").catch(() => {});
  await has(one.id, "failed");
  const bad = await runs.start(undone, 1);
  await has(bad.id, "failed");
  const broken = await runs.start(failing, 1);
  await has(broken.id, "failed");
  // What was undone is not replayed, but for its undos.
  for (const { id } of (await deadLetters.list()).data) await deadLetters.replay(id).catch(() => {});
  for (const { id } of [bad, broken]) await has(id, "failed");
  await runs.rerun(broken.id, { from: "fail" });
  for (const { id } of (await deadLetters.list({ limit: 1 })).data) await deadLetters.discard(id);
  await deadLetters.discardMany({});

  const queued = await runs.start("held", 1, { priority: "high" });
  await has(queued.id, "waiting");
  const lone = await runs.start(part, 1, { dedupe: { key: "d", mode: "debounce", windowMs: 50 } });
  await runs.start(part, 2, { dedupe: { key: "d", mode: "debounce", windowMs: 50 } });
  await runs.cancel(lone.id).catch(() => {});
  const late = await runs.start("held", 1, { deadlineMs: 1 });
  await has(late.id, "failed");
  await runs.delete(late.id);

  await millrace.pause({ tenant: "default" });
  // The worker may not have heard of it yet.
  let parked = "";
  for (let status = ""; status !== "waiting"; ) {
    const { id } = await runs.start(part, 1);
    parked = id;
    ({ status } = await eventually(
      () => runs.summary(id),
      (run) => run.status === "waiting" || run.status === "completed",
    ));
  }
  // What is put back is counted anew.
  await looking.del(new NamespaceKeys(NAMESPACE).partition(0).parked("default"));
  await worker.reconcile();
  await millrace.resume({ tenant: "default" });
  await has(parked, "completed");
  for await (const { type } of millrace.watch(parked)) if (type === "run.completed") break;
  await schedules.create({ name: "s", workflow: part, input: 1, every: 60_000 });
  await schedules.pause("s");
  await schedules.delete("s");
  refusing = false;
  await eventually(
    () => subscriptions.get("all"),
    ({ deadLetters }) => deadLetters > 0,
  );
  await subscriptions.replay("all");
  await consumer.stop();
  await subscriptions.resume("all").catch(() => {});
  await subscriptions.delete("all");
  await worker.stop();
  const { view } = await uploads.create({ tenant: "default", length: 1, metadata: "", keptMs: 60_000, most: 9 });
  for (const ends of [false, true]) {
    const held = await uploads.hold("default", view.id, { keptMs: 60_000 });
    if (!("append" in held)) throw new Error("It is complete.");
    if (ends) await held.append(bodyOf("a"));
    if (ends) await held.complete({ id: "D", name: "a", type: "text/plain", size: 1, sha256: "" });
    else await held.release();
  }
  await uploads.delete("default", view.id);
  for (const [from, to] of [
    [2, 1],
    [1, 2],
  ] as const)
    expect(await millrace.migrate({ workflow: "held", from, to })).toMatchObject({ moved: 1 });
  await runs.cancel(queued.id);
  await millrace.retireVersion("held", 1);
}

/** The same of what stands beside runs. */
async function serve({ access, collection, requests, watchAll, runs }: Millrace): Promise<void> {
  const { keys, tickets, rateLimits, quotas } = access;
  const { id, secret } = await keys.create({ name: "a", scopes: ["runs:read"] });
  await keys.verify(secret);
  await keys.rotate(id);
  await keys.revoke(id);
  const { ticket } = await tickets.issue({ workflows: ["part"] });
  await tickets.redeem(ticket);
  await rateLimits.take("a", { requests: 2, windowMs: 1_000 });
  await quotas.takeOfDay("a", 2);
  const kept = collection("things");
  await kept.create("a", 1, { most: 2 });
  await kept.update("a", () => 2);
  await kept.delete("a");
  const request = { tenant: "default", scope: "s", key: "kept", digest: "d" };
  await requests.begin(request, { token: "a", id: "i", seed: "s", leaseMs: 1 });
  await requests.leave(request, "a", false);
  await requests.answer(request, "reply", "");
  let after = "";
  for await (const message of watchAll({ tenant: "default" }))
    if (message.type === "cursor") {
      after = message.cursor;
      break;
    }
  const { id: later } = await runs.start("held", 1);
  for await (const message of watchAll({ tenant: "default", after })) if (message.type === "run.queued") break;
  await runs.cancel(later);
}

test("no script, whichever of its keys holds another type, is refused or breaks off after it has written", async () => {
  const home = `${ROOT}.millrace`;
  const [server, twin] = await Promise.all([startTemporaryRedis(home), startTemporaryRedis(home)]);
  const calls = new ScriptCalls();
  const millrace = await connectBy((link) => calls.client(link, server.url, NAMESPACE), {
    ...{ url: server.url, namespace: NAMESPACE, blobs: new MemoryBlobs() },
    workflows: [all, part, undone, failing, held(1), held(2)],
  });
  try {
    await live(millrace, rawRedis(server.url));
    await serve(millrace);
    // No replica is there: what is to be confirmed by one is stored, and asked for again.
    const careful = await connectBy((link) => calls.client(link, server.url, NAMESPACE), {
      ...{ url: server.url, namespace: NAMESPACE, workflows: [part] },
      durability: { replicas: 1, timeoutMs: 1 },
    });
    const idempotency = { scope: "s", key: "confirmed", digest: "d" };
    for (let tries = 0; tries < 2; tries += 1)
      await expect(careful.runs.start(part, 1, { idempotency })).rejects.toMatchObject({ code: "unconfirmed" });
    await careful.close();
    const found: string[] = [];
    let tried = 0;
    const redis = rawRedis(twin.url);
    for (const call of calls.all)
      for (const wrong of new Set(call.keys)) {
        tried += 1;
        const said = await withWrongType(redis, call, wrong, NAMESPACE);
        if (said !== undefined && !ROW_BY_ROW.test(said)) found.push(said);
      }
    console.log(
      `${tried} wrong types in ${calls.all.length} calls of ${new Set(calls.all.map(({ script }) => script.name)).size} scripts`,
    );
    expect(found).toEqual([]);
    const ran = new Set(calls.all.map(({ script }) => script.name));
    const files = (await readdir(`${ROOT}engine/scripts`)).filter((file) => file.endsWith(".ts"));
    const scripts = files.map((file) => file.replace(/\.ts$/, "")).filter((name) => !ELSEWHERE.includes(name));
    expect(scripts.filter((name) => !ran.has(name))).toEqual([]);
  } finally {
    await millrace.close();
    await Promise.all([server.stop(), twin.stop()]);
  }
}, 60_000);
