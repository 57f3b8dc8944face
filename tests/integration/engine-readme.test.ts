import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import * as v from "valibot";
import { beforeAll, describe, expect, test, vi } from "vitest";
import { bodyOf, FatalError, workflow } from "../../engine/index.ts";
import { NamespaceKeys, PartitionKeys } from "../../engine/keys.ts";
import { redisBlobs } from "../../engine/redis-blobs.ts";
import { encodeSchedule, type ScheduleRecord } from "../../engine/schedules/record.ts";
import { engineUnderTest } from "../support/engine-under-test.ts";
import { code, readMarkdown, table } from "../support/markdown.ts";
import { engineUrl, leftovers, rawRedis, redisUrl } from "../support/redis.ts";
import { ROOT } from "../support/run.ts";
import { ScheduleBench } from "../support/schedules.ts";

const readme = await readMarkdown("engine/README.md");

const version = { workflow: "WORKFLOW", version: 1 };
const space = new NamespaceKeys("NS");
const keys = space.partition(0);
/** By the methods of `keys.ts`: what the table shows, and the type. */
const KEYS: Record<string, string> = {
  meta: `${space.meta()} hash`,
  graphs: `${space.graphs()} hash`,
  retired: `${space.retired()} hash`,
  tenants: `${space.tenants()} set`,
  retention: `${space.retention()} hash`,
  config: `${space.config()} hash`,
  generations: `${space.generations()} hash`,
  broadcast: `${space.broadcast()} channel`,
  heard: `${space.heard("ID")} channel`,
  checkup: `${space.checkup("ID")} stream`,
  blobContent: `${space.blobContent("TENANT", "ID")} hash`,
  blobRecord: `${space.blobRecord("TENANT", "ID")} hash`,
  blobNames: `${space.blobNames("TENANT", "KIND", "ID")} zset`,
  everyRunChannel: `${space.everyRunChannel()} pattern`,
  kept: `${space.kept("COLLECTION", "TENANT")} hash`,
  keptTenants: `${space.keptTenants("COLLECTION")} hash`,
  spaceClock: `${space.spaceClock()} string`,
  run: `${keys.run("RUN")} hash`,
  runChannel: `${keys.runChannel("RUN")} channel`,
  log: `${keys.log("RUN")} list`,
  step: `${keys.step(version, "STEP")} stream`,
  slots: `${keys.slots(version, "STEP")} stream`,
  gate: `${keys.gate(version, "STEP")} hash`,
  gateWaiting: `${keys.gateWaiting(version, "STEP")} zset`,
  gateHeld: `${keys.gateHeld(version, "STEP")} zset`,
  gateTurns: `${keys.gateTurns(version, "STEP")} zset`,
  dead: `${keys.dead(version, "STEP")} stream`,
  items: `${keys.items("RUN", "STEP")} hash`,
  chunk: `${keys.items("RUN", "STEP")}:CHUNK hash`,
  memos: `${keys.memos("RUN")} hash`,
  usage: `${keys.usage("TENANT")} hash`,
  usageOfKey: `${keys.usageOfKey("TENANT", "KEY")} hash`,
  timers: `${keys.timers()} zset`,
  delayed: `${keys.delayed()} hash`,
  lanes: `${keys.lanes()} hash`,
  paused: `${keys.paused()} hash`,
  parked: `${keys.parked("TENANT")} zset`,
  workers: `${keys.workers()} hash`,
  beats: `${keys.beats()} hash`,
  clock: `${keys.clock()} string`,
  runsByStatus: `${keys.runsByStatus("TENANT", "STATUS")} zset`,
  runsByWorkflow: `${keys.runsByWorkflow("TENANT", "WORKFLOW")} zset`,
  runsByTag: `${keys.runsByTag("TENANT", "TAG")} zset`,
  ends: `${keys.ends("TENANT")} list`,
  deadLetters: `${keys.deadLetters("TENANT")} zset`,
  once: `${keys.once("TENANT", "HASH")} hash`,
  dedupe: `${keys.dedupe("TENANT", "HASH")} hash`,
  operation: `${keys.operation("ID")} hash`,
  sweep: `${keys.sweep()} hash`,
  reconciler: `${keys.reconciler()} hash`,
  schedule: `${keys.schedule("TENANT", "NAME")} hash`,
  schedules: `${keys.schedules("TENANT")} zset`,
  upload: `${keys.upload("TENANT", "ID")} hash`,
  uploads: `${keys.uploads("TENANT")} zset`,
  apiKey: `${keys.apiKey("ID")} hash`,
  apiKeys: `${keys.apiKeys()} zset`,
  apiKeysOf: `${keys.apiKeysOf("TENANT")} zset`,
  ticket: `${keys.ticket("HASH")} hash`,
  rates: `${keys.rates()} zset`,
  quotas: `${keys.quotas()} hash`,
  access: `${keys.access()} channel`,
  control: `${keys.control()} channel`,
  bell: `${keys.bell()} channel`,
  subscriptions: `${keys.subscriptions()} hash`,
  subscription: `${keys.subscription("GROUP")} stream`,
  redeliveries: `${keys.redeliveries("GROUP")} zset`,
  undelivered: `${keys.undelivered("GROUP")} stream`,
};

test("the engine's table of keys has what keys.ts makes, and nothing else", () => {
  const methods = [NamespaceKeys, PartitionKeys].flatMap((each) => Object.getOwnPropertyNames(each.prototype));
  const made = methods.filter((name) => !["constructor", "partition"].includes(name));
  expect(made.sort()).toEqual(Object.keys(KEYS).sort());
  expect(table(readme, "key").map(([key, type]) => `${code(key!)} ${type}`)).toEqual(Object.values(KEYS));
});

test("the engine's table of scripts has every script", async () => {
  const files = (await readdir(`${ROOT}engine/scripts`))
    .filter((name) => name.endsWith(".ts"))
    .map((name) => name.replace(".ts", ""));
  const told = table(readme, "script").map(([name]) => code(name!));
  expect(told.sort()).toEqual(files.filter((name) => name !== "script").sort());
  const words = table(readme, "key").flatMap((row) => row[3]!.replaceAll(/`[^`]*`/g, "").match(/[a-z-]+/g) ?? []);
  const verbs = ["add", "adds", "claim", "remove", "forget", "lapse", "once"];
  for (const word of words) expect([...files, ...verbs]).toContain(word);
});

test("the engine's README names files that there are", () => {
  for (const [, path] of readme.text.matchAll(/`([\w/.-]+\.ts|[\w-]+\/(?:[\w-]+\/)?)`/g))
    expect(existsSync(`${ROOT}engine/${path}`) || existsSync(`${ROOT}${path}`), path).toBe(true);
});

test("the engine's table of a schedule has every field that is stored, and no other", () => {
  const full: Required<ScheduleRecord> = {
    ...{ status: "active", revision: 1, generation: 1, workflow: "w", cadence: { at: 1 }, input: "1", metadata: "{}" },
    ...{ overlap: "skip", missed: "all", jitterMs: 1, offset: 0, createdAt: 1, updatedAt: 1, nextTick: 1, lastTick: 1 },
    ...{
      ...{ lastRun: "R", starting: [1], waiting: [1], priority: "high", tags: "[]", quota: "{}" },
      skipped: { tick: 1, reason: "missed" },
      error: { tick: 1, message: "" },
    },
  };
  const told = table(readme, "of a schedule").map(([name]) => code(name!));
  expect(told.sort()).toEqual(Object.keys(encodeSchedule(full)).sort());
});

describe("what Redis holds after runs of every kind", () => {
  /** Fails once, says how far it is, ends; the second step fails for good. */
  const odd = workflow("odd", { input: v.object({ name: v.string() }) })
    .step("first", {
      retry: { baseMs: 0, maxMs: 0 },
      run: async ({ name }, ctx) => {
        ctx.progress(0.5, "half way");
        ctx.usage({ tokens: 1, key: "KEY" });
        await ctx.once("greeting", () => name);
        if (ctx.attempt === 1) throw new Error("not yet");
        return name;
      },
    })
    .step("second", (name) => {
      if (name === "bad") throw new FatalError("never");
      return name;
    });
  /** A join, several ends, items that stay alive, waits of every kind. */
  const inner = workflow("inner", { input: v.any() }).sleep("sleep", 86_400_000);
  const many = workflow("many", { input: v.any() })
    .step("aside", { after: [], run: () => 0 })
    .step("one", { after: [], run: () => 1 })
    .step("two", { after: [], run: () => 2 })
    .step("join", { after: ["one", "two"], run: () => 3 })
    .waitFor("signal", { after: [], schema: v.any() })
    .step("end", { after: ["signal"], run: () => 1 })
    .map("map", {
      after: ["join"],
      over: () => [1, 2],
      retry: { baseMs: 60_000, maxMs: 60_000, jitter: "none" },
      run: (_, ctx) => {
        if (ctx.item === 1) throw new Error("not yet");
      },
    })
    .child("child", { after: ["end"], workflow: inner, input: () => null });
  /** One at work, another behind it. */
  const limited = workflow("limited", { input: v.any() }).step("one", {
    limits: { rate: { count: 1, windowMs: 60_000 } },
    run: (_, { signal }) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
  });
  /** Begins to be undone when it is cancelled: one undo goes to dead letters, one is at work. */
  const undone = workflow("undone", { input: v.any() })
    .step("first", {
      run: () => 1,
      undo: (_, ctx) => new Promise((_, reject) => ctx.signal.addEventListener("abort", reject)),
    })
    .step("second", { run: () => 2, undo: () => Promise.reject(new FatalError("no")) })
    .sleep("sleep", 86_400_000);
  const found = { keys: [] as string[], fields: new Set<string>() };

  beforeAll(async () => {
    const gone = [1, 2].map((version) => workflow("gone", { version, input: v.any() }).step("one", () => version));
    await using engine = await engineUnderTest([odd, many, undone, limited, ...gone], { partitions: 1 });
    await engine.millrace.pause({ tenant: "idle" });
    await engine.worker({ drainMs: 0, steps: (name) => name !== "gone" });
    await engine.millrace.retireVersion("gone", 1);
    const retry = { baseMs: 60_000, maxMs: 60_000, jitter: "none" } as const;
    const { subscriptions } = engine.millrace;
    await engine.millrace.subscribe({ group: "GROUP", events: ["run.queued"], retry }, ({ seq }) => {
      throw seq === 1 ? new FatalError("never") : new Error("not yet");
    });
    const first = await engine.millrace.runs.start(limited, null);
    await engine.until(first.id, ({ type }) => type === "step.started");
    const behind = await engine.millrace.runs.start(limited, null);
    await engine.until(behind.id, ({ type }) => type === "run.waiting");
    const idempotency = { scope: "a", key: "b", digest: "c" };
    const terms = { delayMs: 1, ttlMs: 60_000, deadlineMs: 60_000, tags: ["blue"], budget: { tokens: 9 } };
    const options = { ...terms, metadata: { a: 1 }, idempotency, dedupe: { key: "k", mode: "simple" } } as const;
    const good = await engine.millrace.runs.start(odd, { name: "good" }, options);
    await engine.events(good.id);
    const bad = await engine.run(odd, { name: "bad" });
    const { deadLetters } = engine.millrace;
    const [letter] = (await deadLetters.list()).data;
    await deadLetters.replay(letter!.id, { input: "bad" });
    await engine.events(bad.id, bad.seq);
    await deadLetters.replayMany({ workflow: "none" });
    const { id } = await engine.millrace.runs.start(many, null);
    await engine.millrace.runs.signal(id, "signal", 1);
    await engine.until(id, ({ type, step }) => type === "step.retrying" && step === "map");
    await engine.until(id, ({ type, step }) => type === "step.started" && step === "child");
    await engine.until(id, ({ type, step }) => type === "step.completed" && step === "aside");
    const trip = await engine.millrace.runs.start(undone, null);
    await engine.until(trip.id, ({ type }) => type === "run.waiting");
    await engine.millrace.runs.cancel(trip.id);
    await engine.until(
      trip.id,
      ({ type, step, data }) => type === "step.started" && step === "first" && data !== undefined,
    );
    await engine.millrace.config.set("a", 1);
    await engine.millrace.collection("webhooks").create("w", 1, { most: 1 });
    const blobs = await redisBlobs({ url: engineUrl, namespace: engine.namespace });
    const source = { tenant: "default", name: "a", type: "text/plain" };
    for (const more of [{}, { run: good.id }]) await blobs.put({ ...source, ...more }, bodyOf("hello"));
    blobs.close();
    const { access } = engine.millrace;
    await access.keys.create({ name: "ci", scopes: ["runs:read"] });
    await access.tickets.issue({ runs: [good.id] });
    await access.rateLimits.take("ci", { requests: 1, windowMs: 86_400_000 });
    await access.quotas.takeOfDay("ci", 1);
    await engine.millrace.schedules.create({ name: "daily", workflow: odd, input: { name: "good" }, cron: "@daily" });
    // Two ticks are due: the second waits for the run of the first.
    const often = { name: "often", every: 60_000, overlap: "queue", missed: "all" } as const;
    await engine.millrace.schedules.create({ ...often, workflow: inner, input: null });
    const bench = new ScheduleBench(engine);
    await bench.due("often", Date.now() - 90_000);
    await vi.waitUntil(async () => {
      const { lastRun } = await bench.get("often");
      return lastRun !== undefined && (await bench.redis.hexists(bench.keys.run(lastRun), "tick")) === 1;
    }, 10_000);
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const soon = await engine.millrace.runs.start(odd, { name: "soon" }, { priority: "high", traceparent });
    await engine.ended(soon.id);
    const parked = await engine.millrace.runs.start(odd, { name: "later" }, { tenant: "idle" });
    for await (const { type } of engine.millrace.watch(parked.id, { tenant: "idle" }))
      if (type === "run.waiting") break;
    const upload = { tenant: "default", length: 1, metadata: "", keptMs: 60_000, most: 1 };
    await engine.millrace.uploads.create(upload);
    const told = () => subscriptions.get("GROUP");
    await vi.waitUntil(async () => (await told()).retrying === 1, 10_000);
    const redis = rawRedis();
    for (const key of await leftovers(redisUrl, engine.namespace)) {
      found.keys.push(`${key.replace(engine.namespace, "NS")} ${await redis.type(key)}`);
      if (/:0\}:run:/.test(key)) for (const field of await redis.hkeys(key)) found.fields.add(field);
    }
  });

  test("is in the table of keys, with its type, and nothing in the table is missing", () => {
    const shown = found.keys.map((each) =>
      each
        .replace(/\{NS:blobs:default(:?)[0-9a-f]*\}/, (_, colon) => `{NS:blobs:TENANT${colon && ":ID"}}`)
        .replace(/(TENANT\}:record:)[0-9a-f]+/, "$1ID")
        .replace(/(TENANT\}):(?:run|same):[0-9a-f-]+/, "$1:KIND:ID")
        .replace(/(:(?:run|log|memos):)[0-9a-f-]+ /, "$1RUN ")
        .replace(/:items:[0-9a-f-]+:\w+/, ":items:RUN:STEP")
        .replace(/:items:RUN:STEP:0/, ":items:RUN:STEP:CHUNK")
        .replace(/:(step|dead|slots|gate):\w+@\d:\w+(:high)?/, ":$1:WORKFLOW@1:STEP")
        .replace(
          /:(usage|runs|ends|dead-letters|once|dedupe|parked|schedule|schedules|upload|uploads):(default|idle)/,
          ":$1:TENANT",
        )
        .replace(/:kept:webhooks(:default)?/, (_, tenant) => `:kept:COLLECTION${tenant ? ":TENANT" : ""}`)
        .replace(/:TENANT:(daily|often)/, ":TENANT:NAME")
        .replace(/:(operation|upload:TENANT):[0-9a-f]{32}/, ":$1:ID")
        .replace(/:api-key:[0-9a-f]{32}/, ":api-key:ID")
        .replace(/:api-keys:default/, ":api-keys:TENANT")
        .replace(/:ticket:[0-9a-f]{64}/, ":ticket:HASH")
        .replace(/:status:\w+/, ":status:STATUS")
        .replace(/:workflow:\w+/, ":workflow:WORKFLOW")
        .replace(/:tag:blue/, ":tag:TAG")
        .replace(/:TENANT:[0-9a-f]{64}/, ":TENANT:HASH"),
    );
    expect([...new Set(shown)].sort()).toEqual(
      Object.values(KEYS)
        .filter((each) => !/(channel|pattern)$/.test(each) && !/:clock |:checkup:/.test(each))
        .sort(),
    );
  });

  test("is in the table of fields, and nothing in that is missing", () => {
    const shown = [...found.fields].map((field) =>
      field
        .replace(
          /^(step|output|usage|input|progress|error|join|items|chunks|due|signal|signalled|child|undo|undoError):\w+$/,
          "$1:STEP",
        )
        .replace(/^dead:\d+-\d+$/, "dead:ENTRY"),
    );
    const told = table(readme, "field").map(([name]) => code(name!));
    expect([...new Set(shown)].sort()).toEqual(told.sort());
  });
});
