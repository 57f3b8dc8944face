import { setTimeout } from "node:timers/promises";
import * as v from "valibot";
import { describe, expect, test, vi } from "vitest";
import { connect, DefinitionError, FatalError, InvalidInputError, workflow } from "../../engine/index.ts";
import { NamespaceKeys } from "../../engine/keys.ts";
import { Partitions } from "../../engine/partitions.ts";
import { engineUnderTest } from "../support/engine-under-test.ts";
import { Gates } from "../support/gates.ts";
import { freshNamespace, rawRedis, redisUrl } from "../support/redis.ts";

const P = 8;
const input = v.object({ user: v.string(), n: v.number() });
const partitionOf = (id: string) => Number(id.split("-")[1]);
const users = Array.from({ length: 40 }, (_, i) => `user-${i}`);

const chain = workflow("chain", { input })
  .step("one", (given) => given)
  .step("two", ({ n }) => 2 * n);

const open = (...workflows: Parameters<typeof engineUnderTest>[0][number][]) =>
  engineUnderTest(workflows, { partitions: P });

describe("runs", () => {
  test("are spread over all partitions, completed in each, and listed as one, the newest first", async () => {
    await using engine = await open(chain);
    await engine.worker();
    const runs: string[] = [];
    for (let n = 0; n < 60; n += 1) runs.push((await engine.millrace.runs.start(chain, { user: "ann", n })).id);
    expect(new Set(runs.map(partitionOf)).size).toBeGreaterThan(4);
    for (const [n, run] of runs.entries()) expect(await engine.ended(run)).toMatchObject({ output: 2 * n });
    const listed: string[] = [];
    for (let cursor: string | undefined; ; ) {
      const page = await engine.millrace.runs.list({ limit: 7, ...(cursor === undefined ? {} : { cursor }) });
      listed.push(...page.data.map(({ id }) => id));
      cursor = page.next;
      if (cursor === undefined) break;
    }
    expect(listed).toHaveLength(60);
    expect(new Set(listed)).toEqual(new Set(runs));
    expect((await engine.millrace.queues()).map(({ step, depth, workers }) => [step, depth, workers])).toEqual([
      ["one", 0, 1],
      ["two", 0, 1],
    ]);
  });

  test("never take more slots than the worker has, however many partitions have work", async () => {
    let [atWork, most] = [0, 0];
    const busy = workflow("busy", { input }).step("work", async () => {
      most = Math.max(most, ++atWork);
      await setTimeout(1);
      atWork -= 1;
    });
    await using engine = await open(busy);
    const runs = await Promise.all(users.map((user, n) => engine.millrace.runs.start(busy, { user, n })));
    await engine.worker({ concurrency: 3 });
    for (const { id } of runs) expect((await engine.ended(id)).steps.work).toMatchObject({ attempt: 1 });
    expect(most).toBe(3);
  });

  test("of a step that is at its limit are taken as soon as it has a free slot, in whichever partition that is freed", async () => {
    const gates = new Gates();
    const flow = workflow("flow", { input, partitionBy: ({ user }) => user })
      .step("single", { concurrency: 1, run: ({ user }, ctx) => gates.pass(user, ctx.signal) })
      .step("other", () => null);
    await using engine = await open(flow);
    await engine.worker({ concurrency: 5 });
    const start = (user: string) => engine.millrace.runs.start(flow, { user, n: 0 });
    const at = async (run: string, type: string) => {
      for await (const event of engine.millrace.watch(run))
        if (event.type !== "reset" && event.type === type) return Date.parse(event.at);
      throw new Error(`no ${type}`);
    };
    const first = await start("a");
    await at(first.id, "step.started");
    const second = await start("b");
    expect(partitionOf(second.id)).not.toBe(partitionOf(first.id));
    gates.open("b");
    // Until its partition's reader has left it, and waits for the other step alone.
    const single = async () => (await engine.millrace.queues()).find(({ step }) => step === "single");
    await vi.waitFor(async () => expect(await single()).toMatchObject({ depth: 1, inFlight: 1 }), 10_000);
    gates.open("a");
    const done = await at(first.id, "step.completed");
    // A blocking read lasts 2 s.
    expect((await at(second.id, "step.started")) - done).toBeLessThan(1_000);
  });

  test("that may take down one more worker are taken over one at a time", async () => {
    let [atWork, most] = [0, 0];
    const risky = workflow("risky", { input }).step("work", async (_, { signal }) => {
      most = Math.max(most, ++atWork);
      await setTimeout(1, undefined, { signal }).finally(() => {
        atWork -= 1;
      });
    });
    await using engine = await open(risky);
    const runs = await Promise.all(users.map((user, n) => engine.millrace.runs.start(risky, { user, n })));
    const redis = rawRedis();
    let dead = 0;
    for (let p = 0; p < P; p += 1) {
      const stream = new NamespaceKeys(engine.namespace).partition(p).step(risky.graph, "work");
      const group = ["GROUP", "workers", "dead", "COUNT", "100", "STREAMS", stream, ">"];
      // By chance a partition may have none.
      if ((await redis.call("XREADGROUP", ...group)) === null) continue;
      // Two workers have died with it.
      for (const [entry] of (await redis.xpending(stream, "workers", "-", "+", 100)) as [string][]) {
        await redis.xclaim(stream, "workers", "dead", 0, entry, "RETRYCOUNT", 2);
        dead += 1;
      }
    }
    expect(dead).toBe(runs.length);
    await engine.worker({ leaseMs: 200, concurrency: 20 });
    for (const { id } of runs) expect((await engine.ended(id)).steps.work).toMatchObject({ attempt: 3 });
    expect(most).toBe(1);
  });

  test("of one idempotency key, and of one deduplication, are one run", async () => {
    await using engine = await open(chain);
    const start = (options: object) => engine.millrace.runs.start(chain, { user: "ann", n: 1 }, options);
    for (const user of users.slice(0, 10)) {
      const idempotency = { scope: "test", key: user, digest: "d" };
      const ids = await Promise.all([1, 2, 3].map(async () => (await start({ idempotency })).id));
      expect(new Set(ids).size).toBe(1);
      const dedupe = { key: user, mode: "simple" as const };
      const deduped = await Promise.all([1, 2, 3].map(async () => (await start({ dedupe })).id));
      expect(new Set(deduped).size).toBe(1);
    }
    const dedupe = { key: "late", mode: "debounce" as const, windowMs: 200 };
    const first = await start({ dedupe });
    expect((await engine.millrace.runs.start(chain, { user: "ann", n: 9 }, { dedupe })).id).toBe(first.id);
    await engine.worker();
    expect(await engine.ended(first.id)).toMatchObject({ output: 18 });
  });

  test("are signalled, cancelled, paused by tenant and replayed wherever they are", async () => {
    let failing = true;
    const shy = workflow("shy", { input })
      .waitFor("go", { schema: v.string() })
      .step("work", () => {
        if (failing) throw new FatalError("not yet");
        return "done";
      });
    await using engine = await open(shy);
    await engine.worker();
    const { runs, deadLetters } = engine.millrace;
    const started = await Promise.all(users.slice(0, 12).map((user, n) => runs.start(shy, { user, n })));
    const ids = started.map(({ id }) => id);
    for (const id of ids) await engine.until(id, ({ type }) => type === "run.waiting");
    await runs.cancel(ids[0]!);
    for (const id of ids.slice(1)) await runs.signal(id, "go", "now");
    for (const id of ids.slice(1)) expect(await engine.ended(id)).toMatchObject({ status: "failed" });
    expect((await deadLetters.list({ limit: 100 })).data).toHaveLength(11);
    await engine.millrace.pause({ tenant: "default" });
    failing = false;
    await deadLetters.replayMany({});
    await engine.millrace.resume({ tenant: "default" });
    for (const id of ids.slice(1)) {
      const after = (await runs.get(id)).seq;
      for await (const { type } of engine.millrace.watch(id, { after: String(after) }))
        if (type === "run.completed") break;
      expect(await runs.get(id)).toMatchObject({ status: "completed", output: "done" });
    }
    expect((await deadLetters.list()).data).toEqual([]);
    expect(await engine.millrace.paused()).toEqual([]);
  });

  test("of high priority are in a lane of their own in each partition", async () => {
    await using engine = await open(chain);
    await engine.worker();
    const runs = users
      .slice(0, 12)
      .map((user, n) => engine.millrace.runs.start(chain, { user, n }, { priority: "high" }));
    for (const { id } of await Promise.all(runs)) expect(await engine.ended(id)).toMatchObject({ status: "completed" });
  });

  test("that start others have them in their own partition; a rerun is in that of its run", async () => {
    const parent = workflow("parent", { input }).child("inner", { workflow: chain, input: (given) => given });
    await using engine = await open(parent);
    await engine.worker();
    for (const [n, user] of users.slice(0, 8).entries()) {
      const { id } = await engine.millrace.runs.start(parent, { user, n });
      await engine.ended(id);
      const [inner] = (await engine.millrace.runs.list({ workflow: "chain", limit: 1 })).data;
      expect(partitionOf(inner!.id)).toBe(partitionOf(id));
      const again = await engine.millrace.runs.rerun(id, { from: "inner" });
      expect(partitionOf(again.id)).toBe(partitionOf(id));
      expect(await engine.ended(again.id)).toMatchObject({ output: 2 * n });
    }
  });

  test("are told of to subscriptions from every partition, and their usage is one sum", async () => {
    const counted = workflow("counted", { input }).step("work", (_, ctx) => void ctx.usage({ tokens: 10 }));
    await using engine = await open(counted);
    const seen = new Set<string>();
    const all = Promise.withResolvers<void>();
    await engine.millrace.subscribe({ group: "billing", events: ["run.completed"] }, async ({ run }) => {
      if (seen.add(run).size === users.length) all.resolve();
    });
    await engine.worker();
    const runs = await Promise.all(users.map((user, n) => engine.millrace.runs.start(counted, { user, n })));
    await all.promise;
    expect(seen).toEqual(new Set(runs.map(({ id }) => id)));
    expect(await engine.millrace.usage()).toMatchObject({ tokens: 10 * users.length });
  });

  test("of schedules are made once, each in its schedule's partition", async () => {
    await using engine = await open(chain);
    await engine.worker();
    const at = new Date(Date.now() + 2_000);
    const names = ["a", "b", "c", "d", "e", "f"];
    for (const name of names)
      await engine.millrace.schedules.create({ name, workflow: chain, input: { user: name, n: 1 }, at });
    for (const name of names) {
      await expect
        .poll(async () => (await engine.millrace.schedules.get(name)).lastRun, { timeout: 5_000 })
        .toBeDefined();
    }
    expect((await engine.millrace.runs.list({ limit: 100 })).data).toHaveLength(names.length);
    expect((await engine.millrace.schedules.list()).data.map(({ name }) => name).sort()).toEqual(names);
  });
});

describe("partitionBy", () => {
  const limited = workflow("limited", { input, partitionBy: ({ user }) => user }).step("work", {
    limits: { key: ({ user }) => user, concurrency: 1 },
    run: ({ n }) => n,
  });

  test("keeps the runs of one key in one partition, in which their limits hold", async () => {
    await using engine = await open(limited);
    const places = new Map<string, Set<number>>();
    for (const user of users)
      for (const n of [1, 2]) {
        const { id } = await engine.millrace.runs.start(limited, { user, n });
        places.set(user, (places.get(user) ?? new Set()).add(partitionOf(id)));
      }
    expect([...places.values()].every(({ size }) => size === 1)).toBe(true);
    expect(new Set([...places.values()].flatMap((set) => [...set])).size).toBeGreaterThan(4);
  });

  test("refuses an input that it says nothing of, and a deduplication", async () => {
    await using engine = await open(limited);
    const start = engine.millrace.runs.start(limited, { user: "", n: 1 });
    await expect(start).rejects.toThrow(InvalidInputError);
    const dedupe = { key: "k", mode: "simple" as const };
    await expect(engine.millrace.runs.start(limited, { user: "a", n: 1 }, { dedupe })).rejects.toThrow(/partitionBy/);
  });

  test("is needed for limits by a key, of a workflow and of those that start it", async () => {
    const bare = workflow("bare", { input }).step("work", {
      limits: { key: ({ user }) => user, concurrency: 1 },
      run: () => 1,
    });
    await expect(open(bare)).rejects.toThrow(/step "work": limits by key need the workflow's partitionBy/);
    const parent = workflow("parent", { input }).child("inner", { workflow: limited, input: (given) => given });
    await expect(open(parent)).rejects.toThrow(/"parent" needs partitionBy/);
    const few = workflow("few", { input }).step("work", { limits: { concurrency: P - 1 }, run: () => 1 });
    await expect(open(few)).rejects.toThrow(DefinitionError);
  });

  test("limits over all runs are shared out", async () => {
    const many = workflow("many", { input }).step("work", { limits: { concurrency: 2 * P + 3 }, run: () => 1 });
    await using engine = await open(many);
    await engine.worker();
    const keys = new NamespaceKeys(engine.namespace);
    for (let p = 0; p < P; p += 1)
      expect(await rawRedis().hget(keys.partition(p).gate(many.graph, "work"), "limits")).toBe("2 - - - - - - -");
  });
});

describe("how many partitions there are", () => {
  test("is settled by whoever comes first", async () => {
    await using engine = await open(chain);
    const options = { url: redisUrl, namespace: engine.namespace, workflows: [chain] };
    const again = await connect(options);
    expect(partitionOf((await again.runs.start(chain, { user: "a", n: 1 })).id)).toBeLessThan(P);
    await again.close();
    await expect(connect({ ...options, partitions: 2 })).rejects.toThrow(/has 8 partitions/);
    for (const partitions of [0, 1.5, 1_025])
      await expect(connect({ ...options, namespace: freshNamespace(), partitions })).rejects.toThrow(/1 to 1024/);
  });

  test("keys are in the same partition in every process", () => {
    const partitions = new Partitions(new NamespaceKeys("pinned"), 16);
    expect(["", "a", "ann", "billing\nnightly", "ü"].map((key) => partitions.keyed(key).index)).toMatchInlineSnapshot(`
      [
        5,
        12,
        8,
        3,
        10,
      ]
    `);
    expect(partitions.of("0193cbd2a1c07e2f8c1d9b8e7a6f5d4c-15").index).toBe(15);
    expect(partitions.of("0193cbd2a1c07e2f8c1d9b8e7a6f5d4c-16").index).toBe(0);
  });
});
