import * as v from "valibot";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { connect, type RunSummary, workflow } from "../../engine/index.ts";
import { NamespaceKeys } from "../../engine/keys.ts";
import { type EngineUnderTest, engineUnderTest } from "../support/engine-under-test.ts";
import { rawRedis, redisUrl } from "../support/redis.ts";

const greet = workflow("greet", { input: v.object({ name: v.string() }) }).step("hello", ({ name }) => name);
const other = workflow("other", { input: v.any() }).step("s", () => null);
let bench: EngineUnderTest;
beforeEach(async () => {
  bench = await engineUnderTest([greet, other], { partitions: 1 });
});
afterEach(() => bench[Symbol.asyncDispose]());

describe("starting a run", () => {
  test("stores it, and says how well", async () => {
    const run = await bench.millrace.runs.start("greet", { name: "Ada" }, { metadata: { from: "test" } });
    expect(run).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{32}-0$/),
      workflow: "greet",
      version: 1,
      status: "queued",
      durability: "memory",
      created: true,
    });
    expect(await bench.millrace.runs.get(run.id)).toEqual({
      id: run.id,
      workflow: "greet",
      version: 1,
      status: "queued",
      input: { name: "Ada" },
      seq: 1,
      steps: { hello: { status: "queued", attempt: 0, waitingFor: { reason: "worker" } } },
      createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      metadata: { from: "test" },
    });
    const { steps: _, input: __, ...summary } = await bench.millrace.runs.get(run.id);
    expect(await bench.millrace.runs.summary(run.id)).toEqual(summary);
    await expect(bench.millrace.runs.summary(run.id, { tenant: "acme" })).rejects.toMatchObject({ code: "not_found" });
  });

  test.each([
    ["an input that does not fit", "greet", { name: 1 }, undefined, "invalid_input"],
    ["an unknown workflow", "unknown", {}, undefined, "not_found"],
    ["metadata that is too long", "greet", { name: "a" }, { metadata: { x: "x".repeat(9_000) } }, "invalid_input"],
    ["a large input and no blob store", "other", "x".repeat(40_000), undefined, "no_blob_store"],
  ])("is refused for %s, and nothing is stored", async (_, name, input, options, code) => {
    await expect(bench.millrace.runs.start(name, input, options)).rejects.toMatchObject({ code });
    expect(await bench.millrace.runs.list()).toEqual({ data: [] });
  });

  test("again with the same idempotency key gives the same run, 100 times at once", async () => {
    const idempotency = { scope: "s", key: "k", digest: "d" };
    const start = () => bench.millrace.runs.start(greet, { name: "Ada" }, { idempotency });
    const runs = await Promise.all(Array.from({ length: 100 }, start));
    expect(new Set(runs.map((run) => run.id)).size).toBe(1);
    expect(runs.filter((run) => run.created)).toHaveLength(1);
    expect((await bench.millrace.runs.list()).data).toHaveLength(1);
    const differs = bench.millrace.runs.start(greet, { name: "Bob" }, { idempotency: { ...idempotency, digest: "e" } });
    await expect(differs).rejects.toMatchObject({ code: "idempotency_mismatch" });
    const elsewhere = await bench.millrace.runs.start(
      greet,
      { name: "A" },
      { idempotency: { ...idempotency, scope: "t" } },
    );
    expect(elsewhere.created).toBe(true);
  });
});

describe("a list of runs", () => {
  /** Pages to the end, and says what they held. */
  async function all(options: Parameters<typeof bench.millrace.runs.list>[0], limit = 3): Promise<RunSummary[]> {
    const found: RunSummary[] = [];
    let cursor: string | undefined;
    do {
      const page = await bench.millrace.runs.list({ ...options, limit, ...(cursor && { cursor }) });
      expect(page.data.length).toBeLessThanOrEqual(limit);
      found.push(...page.data);
      cursor = page.next;
    } while (cursor !== undefined);
    return found;
  }

  test("is newest first, by page, workflow, status and tenant", async () => {
    const greets: string[] = [];
    const others: string[] = [];
    for (let i = 0; i < 8; i += 1) {
      greets.unshift((await bench.millrace.runs.start(greet, { name: `${i}` })).id);
      others.unshift((await bench.millrace.runs.start(other, i)).id);
    }
    const elsewhere = await bench.millrace.runs.start(other, 1, { tenant: "acme" });
    await bench.millrace.runs.cancel(greets[2]!);
    await bench.millrace.runs.cancel(others[5]!);
    const ids = async (options: Parameters<typeof all>[0], limit?: number) =>
      (await all(options, limit)).map((run) => run.id);
    // Runs of the same millisecond are in the order of their ids.
    expect((await ids({})).sort()).toEqual([...greets, ...others].sort());
    expect((await all({})).map((run) => run.createdAt)).toEqual(
      (await all({}))
        .map((run) => run.createdAt)
        .sort()
        .reverse(),
    );
    expect((await ids({ workflow: "greet" })).sort()).toEqual([...greets].sort());
    expect((await ids({ status: "cancelled" }, 1)).sort()).toEqual([greets[2], others[5]].sort());
    expect(await ids({ workflow: "other", status: "cancelled" })).toEqual([others[5]]);
    expect(await ids({ workflow: "other", status: "queued" })).toHaveLength(7);
    expect(await ids({ status: "failed" })).toEqual([]);
    expect(await ids({ tenant: "acme" })).toEqual([elsewhere.id]);
    await expect(bench.millrace.runs.get(elsewhere.id)).rejects.toMatchObject({ code: "not_found" });
    await expect(bench.millrace.runs.cancel(elsewhere.id)).rejects.toMatchObject({ code: "not_found" });
  });

  test("holds each of 250 runs of one millisecond once", async () => {
    const runs = await Promise.all(Array.from({ length: 250 }, () => bench.millrace.runs.start(other, 1)));
    const redis = rawRedis();
    const keys = new NamespaceKeys(bench.namespace).partition(0);
    for (const key of [keys.runsByStatus("default", "queued"), keys.runsByWorkflow("default", "other")])
      for (const { id } of runs) await redis.zadd(key, 1_764_000_000_000, id);
    expect((await all({ workflow: "other" }, 100)).map((run) => run.id)).toEqual(
      runs
        .map((run) => run.id)
        .sort()
        .reverse(),
    );
    expect(new Set((await all({}, 7)).map((run) => run.id)).size).toBe(250);
  });

  test.each([{ limit: 0 }, { limit: 101 }, { limit: 1.5 }, { cursor: "" }, { cursor: "x y" }, { cursor: "12" }])(
    "is refused with %j",
    async (options) => {
      await expect(bench.millrace.runs.list(options)).rejects.toMatchObject({ code: "invalid_input" });
    },
  );
});

describe("a namespace", () => {
  test("whose steps changed without a new version is refused", async () => {
    const changed = workflow("greet", { input: v.any() })
      .step("hello", () => 1)
      .step("more", () => 2);
    const options = { url: redisUrl, namespace: bench.namespace };
    await expect(connect({ ...options, workflows: [changed] })).rejects.toMatchObject({ code: "graph_changed" });
    const raised = workflow("greet", { version: 2, input: v.any() }).step("hello", () => 1);
    const millrace = await connect({ ...options, workflows: [greet, raised] });
    expect(await millrace.runs.start("greet", 1)).toMatchObject({ version: 2 });
    await millrace.close();
  });

  test("of another schema version is refused, and left as it is", async () => {
    const redis = rawRedis();
    const key = new NamespaceKeys(bench.namespace).meta();
    await redis.hset(key, "schema", 99);
    const options = { url: redisUrl, namespace: bench.namespace, workflows: [greet] };
    await expect(connect(options)).rejects.toThrow(/has schema 99; this code knows schema 2/);
    expect(await redis.hget(key, "schema")).toBe("99");
  });
});

test.each(["", "localhost:6379", "http://localhost"])("%j is no Redis", async (url) => {
  await expect(connect({ url, workflows: [greet] })).rejects.toMatchObject({ code: "bad_redis_url" });
});

test("without a server, a connection fails in bounded time and leaves nothing open", async () => {
  await expect(connect({ url: "redis://127.0.0.1:1", workflows: [greet] })).rejects.toMatchObject({
    code: "unavailable",
  });
});
