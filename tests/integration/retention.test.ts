import { any } from "valibot";
import { afterEach, describe, expect, test } from "vitest";
import { FsBlobStore } from "../../engine/blobs/fs.ts";
import {
  type AnyWorkflow,
  bodyOf,
  connect,
  createWorker,
  FatalError,
  type RetentionSettings,
  workflow,
} from "../../engine/index.ts";
import { NamespaceKeys } from "../../engine/keys.ts";
import { blobFiles } from "../support/blob-files.ts";
import { type EngineUnderTest, engineUnderTest } from "../support/engine-under-test.ts";
import { eventually } from "../support/gateway.ts";
import { leftovers, rawRedis, redisUrl } from "../support/redis.ts";
import { temporaryDir } from "../support/run.ts";
import { keysOf } from "../support/run-keys.ts";

const DAY = 86_400_000;
const redis = rawRedis();
let bench: EngineUnderTest;
let blobDir: string;
afterEach(() => bench[Symbol.asyncDispose]());

async function open(...workflows: AnyWorkflow[]): Promise<void> {
  blobDir = await temporaryDir();
  bench = await engineUnderTest(workflows, { blobs: new FsBlobStore(blobDir) });
}

/** What is kept by number or size, each partition keeps its share of. */
async function openUndivided(definition: AnyWorkflow): Promise<void> {
  bench = await engineUnderTest([definition], { partitions: 1 });
}

/** Fails for good where its input is "bad", and waits for ever where it is "wait". */
const made = (retention?: RetentionSettings) =>
  workflow("made", { input: any(), ...(retention === undefined ? {} : { retention }) }).step("s", (input, ctx) => {
    if (input === "bad") throw new FatalError("bad");
    if (input === "wait") return new Promise((_, reject) => ctx.signal.addEventListener("abort", reject));
    return input;
  });

/** Does these runs with a worker that stops then, which lets go of the sweep. */
async function runs(definition: AnyWorkflow, inputs: readonly unknown[]): Promise<string[]> {
  const worker = await bench.worker({ drainMs: 0 });
  const ids: string[] = [];
  for (const input of inputs) {
    const { id } = await bench.millrace.runs.start(definition, input);
    ids.push(id);
    if (input === "wait") await bench.until(id, ({ type }) => type === "run.started");
    else await bench.ended(id);
  }
  await worker.stop();
  return ids;
}

/** Makes a run so many days older than it is. */
async function age(id: string, days: number, name = "made"): Promise<void> {
  const keys = keysOf(bench, id);
  const [status, createdAt, endedAt] = await redis.hmget(keys.run(id), "status", "createdAt", "endedAt");
  const created = Number(createdAt) - days * DAY;
  await redis.hset(keys.run(id), "createdAt", created);
  if (endedAt !== null) await redis.hset(keys.run(id), "endedAt", Number(endedAt) - days * DAY);
  for (const index of [keys.runsByStatus("default", status!), keys.runsByWorkflow("default", name)])
    await redis.zadd(index, created, id);
}

const left = async () => (await bench.millrace.runs.list({ limit: 100 })).data.map(({ id }) => id);
const leftOnly = (ids: readonly string[]) =>
  eventually(left, (found) => found.sort().join() === [...ids].sort().join());
const files = () => blobFiles(blobDir);

describe("ended runs are deleted by workers", () => {
  test("7 days after their end, and 30 where a dead letter is left; live ones never", async () => {
    const definition = made();
    await open(definition);
    const ids = await runs(definition, ["old", "young", "bad", "bad", "bad", "wait"]);
    const [old, young, dead, veryDead, discarded, live] = ids as [string, string, string, string, string, string];
    const letters = (await bench.millrace.deadLetters.list()).data;
    await bench.millrace.deadLetters.discard(letters.find(({ run }) => run === discarded)!.id);
    for (const [id, days] of [
      ...([
        [old, 8],
        [young, 6],
        [dead, 29],
        [veryDead, 31],
      ] as const),
      ...([
        [discarded, 8],
        [live, 100],
      ] as const),
    ])
      await age(id, days);
    await bench.worker();
    await leftOnly([young, dead, live]);
    expect((await bench.millrace.deadLetters.list()).data.map(({ run }) => run)).toEqual([dead]);
    await expect(bench.millrace.runs.get(old)).rejects.toMatchObject({ code: "not_found" });
    await bench.millrace.runs.cancel(live);
  });

  test("by their number: the newest stay, and what has a dead letter", async () => {
    const definition = made({ count: 3 });
    await openUndivided(definition);
    const ids = await runs(definition, ["bad", 1, 2, 3, 4, 5]);
    await bench.worker();
    await leftOnly([ids[0]!, ...ids.slice(3)]);
  });

  test("by their bytes: about as many of the newest stay as fit", async () => {
    const definition = made({ bytes: 50_000 });
    await openUndivided(definition);
    const ids = await runs(
      definition,
      Array.from({ length: 6 }, (_, i) => `${i}${"x".repeat(7_000)}`),
    );
    await bench.worker();
    // Each takes about 16 KB: it has its input and its output.
    await leftOnly(ids.slice(3));
  });

  test("with what they have in the blob store, and nothing else of it", async () => {
    const definition = workflow("made", { input: any(), retention: { ageMs: 0 } }).step("s", async (input, ctx) => {
      const { tenant } = ctx.run;
      await ctx.blobs.put({ tenant, name: "by.txt", type: "text/plain" }, bodyOf("by the handler"));
      return input;
    });
    await open(definition);
    const source = { tenant: "default", name: "up.txt", type: "text/plain" };
    const document = await bench.millrace.blobs.put(source, bodyOf("uploaded"));
    await runs(definition, [{ document, large: "x".repeat(50_000) }]);
    // Of the uploaded one, input, output and what the handler put: bytes and what is known of them; owners of three.
    expect(await files()).toHaveLength(11);
    await bench.worker();
    await leftOnly([]);
    await eventually(files, (found) => found.length === 2);
    expect(await bench.millrace.blobs.find("default", document.id)).toEqual(document);
  });
});

describe("deleting a run by hand", () => {
  test("is refused while it is live; afterwards nothing knows it", async () => {
    const definition = made();
    await open(definition);
    const { deadLetters, runs: api } = bench.millrace;
    const [id] = (await runs(definition, ["bad"])) as [string];
    const { id: live } = await api.start(definition, "x".repeat(50_000));
    await expect(api.delete(live)).rejects.toMatchObject({ code: "run_live", name: "ConflictError" });
    await expect(api.delete(id, { tenant: "acme" })).rejects.toMatchObject({ code: "not_found" });
    const letter = (await deadLetters.list()).data[0]!;
    await api.delete(id);
    await expect(api.delete(id)).rejects.toMatchObject({ code: "not_found" });
    await expect(api.get(id)).rejects.toMatchObject({ code: "not_found" });
    await expect(deadLetters.replay(letter.id)).rejects.toMatchObject({ code: "not_found" });
    expect((await deadLetters.list()).data).toEqual([]);
    await api.cancel(live);
    await api.delete(live);
    expect(await left()).toEqual([]);
    expect(await files()).toEqual([]);
  });

  test("is followed by a second look, for what a handler that was cancelled puts later", async () => {
    const definition = made();
    await open(definition);
    const { id } = await bench.millrace.runs.start(definition, 1);
    await bench.millrace.runs.cancel(id);
    await bench.millrace.runs.delete(id);
    const source = { tenant: "default", name: "late.txt", type: "text/plain", run: id };
    await bench.millrace.blobs.put(source, bodyOf("too late"));
    const timers = keysOf(bench, id).timers();
    expect(Number(await redis.zscore(timers, `delete|default|${id}|`))).toBeGreaterThan(Date.now() + 30_000);
    await redis.zadd(timers, 1, `delete|default|${id}|`);
    await bench.worker();
    await eventually(files, (found) => found.length === 0);
  });

  test("leaves the blobs to a worker where they cannot be deleted at once", async () => {
    const definition = made();
    let broken = true;
    blobDir = await temporaryDir();
    class Breaking extends FsBlobStore {
      override deleteOf(tenant: string, run: string): Promise<void> {
        return broken ? Promise.reject(new Error("the disk is away")) : super.deleteOf(tenant, run);
      }
    }
    bench = await engineUnderTest([definition], { blobs: new Breaking(blobDir) });
    const { id } = await bench.millrace.runs.start(definition, "x".repeat(50_000));
    await bench.millrace.runs.cancel(id);
    await bench.millrace.runs.delete(id);
    expect(await left()).toEqual([]);
    expect(await files()).toHaveLength(3);
    broken = false;
    const timers = keysOf(bench, id).timers();
    expect(await redis.zrange(timers, "0", "-1")).toEqual([`delete|default|${id}|`]);
    await redis.zadd(timers, 1, `delete|default|${id}|`);
    await bench.worker();
    await eventually(files, (found) => found.length === 0);
    await eventually(
      () => redis.zcard(timers),
      (rows) => rows === 0,
    );
  });
});

describe("what a workflow says of its retention", () => {
  test("holds for workers that do not have its definition; the one that started last is believed", async () => {
    const kept = made({ ageMs: Number.POSITIVE_INFINITY });
    const other = workflow("other", { input: any(), retention: { ageMs: 0 } }).step("s", () => null);
    await open(kept, other);
    const ids = [...(await runs(kept, [1])), ...(await runs(other, [2]))];
    await age(ids[0]!, 1_000);
    const as = async (...workflows: AnyWorkflow[]) => {
      const millrace = await connect({ url: redisUrl, namespace: bench.namespace, workflows });
      const worker = createWorker(millrace);
      await worker.start();
      return async () => {
        await worker.stop();
        await millrace.close();
      };
    };
    const stop = await as(other);
    await leftOnly([ids[0]!]);
    await stop();
    const stopLast = await as(made({ count: 5 }));
    await leftOnly([]);
    await stopLast();
  });

  test("holds for every tenant, and a pass goes on where the one before it ended", async () => {
    const first = made({ ageMs: 0 });
    const second = workflow("second", { input: any(), retention: { ageMs: 0 } }).step("s", () => null);
    await open(first, second);
    const worker = await bench.worker({ concurrency: 100 });
    const tenants = ["acme", "default", "zoo"];
    for (const tenant of tenants)
      for (const definition of [first, second])
        await Promise.all(Array.from({ length: 70 }, () => bench.millrace.runs.start(definition, null, { tenant })));
    const count = async () => {
      const keys = await leftovers(redisUrl, bench.namespace);
      return keys.filter((key) => /:run:/.test(key)).length;
    };
    await eventually(
      () => bench.millrace.queues(),
      (queues) => queues.every(({ depth, inFlight }) => depth + inFlight === 0),
    );
    await worker.stop();
    expect(await count()).toBe(420);
    await bench.worker();
    await eventually(count, (left) => left === 0);
    const position = await eventually(
      () => redis.hget(new NamespaceKeys(bench.namespace).partition(0).sweep(), "position"),
      (found) => found === "",
    );
    expect(position).toBe("");
  });
});

describe("many", () => {
  test("are deleted in passes of a hundred; nothing of them is left", async () => {
    const definition = made({ ageMs: 0 });
    await open(definition);
    const worker = await bench.worker();
    const ids = await Promise.all(
      Array.from({ length: 250 }, async (_, i) => (await bench.millrace.runs.start(definition, i)).id),
    );
    await Promise.all(ids.map((id) => bench.events(id).catch(() => undefined)));
    await worker.stop();
    // The first worker's walk may have passed runs by that had not ended then: they are its next walk's, in a minute.
    for (const key of await leftovers(redisUrl, bench.namespace)) if (key.endsWith(":sweep")) await redis.del(key);
    await bench.worker();
    await leftOnly([]);
    const keys = await leftovers(redisUrl, bench.namespace);
    expect(keys.filter((key) => /:(run|log|runs|dead-letters):/.test(key))).toEqual([]);
  });
});
