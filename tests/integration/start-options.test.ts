import * as v from "valibot";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { newRunId } from "../../engine/ids.ts";
import { type RunView, type StartOptions, workflow } from "../../engine/index.ts";
import { NamespaceKeys } from "../../engine/keys.ts";
import type { Runs } from "../../engine/runs.ts";
import { type EngineUnderTest, engineUnderTest } from "../support/engine-under-test.ts";
import { Gates } from "../support/gates.ts";
import { eventually } from "../support/gateway.ts";
import { rawRedis } from "../support/redis.ts";

const aborted: string[] = [];
let gates: Gates;
const echo = workflow("echo", { input: v.object({ n: v.number() }) }).step("say", ({ n }) => n);
const other = workflow("other", { input: v.object({ n: v.number() }) }).step("say", ({ n }) => n);
/** Waits at the gate of its run, and tells when it is aborted. */
const held = workflow("held", { input: v.object({}) })
  .step("wait", async (_, ctx) => {
    ctx.emit("here");
    try {
      await gates.pass(ctx.run.id, ctx.signal);
    } catch (error) {
      aborted.push(ctx.run.id);
      throw error;
    }
    return "through";
  })
  .step("after", (text) => text);
const impatient = workflow("impatient", { input: v.object({}), deadlineMs: 30_000 }).step("fail", {
  retry: { baseMs: 60_000, maxMs: 60_000 },
  run: () => {
    throw new Error("not yet");
  },
});

let engine: EngineUnderTest;
beforeEach(async () => {
  gates = new Gates();
  engine = await engineUnderTest([echo, other, held, impatient], { partitions: 1 });
});
afterEach(() => engine[Symbol.asyncDispose]());

const start = (n: number, options?: StartOptions) => engine.millrace.runs.start(echo, { n }, options);
const get = (id: string) => engine.millrace.runs.get(id);
const ms = (time: string | undefined) => Date.parse(time!);
const timers = () => new NamespaceKeys(engine.namespace).partition(0).timers();
/** Has a run's limit come: the time is not waited for. */
const comeDue = (id: string, workflow: string, limit: "ttl" | "deadline") =>
  rawRedis().zadd(timers(), "XX", 1, `expire|${id}|${workflow}|1|${limit}`);
const rows = () => rawRedis().zrange(timers(), "0", "-1");

describe("a run that starts later", () => {
  test("waits at a timer, and is shown so", async () => {
    await engine.worker();
    const { id, status, created } = await start(1, { delayMs: 60_000 });
    expect({ status, created }).toEqual({ status: "queued", created: true });
    const run = await get(id);
    expect(run).toMatchObject({ status: "queued", steps: { say: { status: "waiting", attempt: 0 } } });
    expect(run.steps.say!.waitingFor).toEqual({ reason: "delay", until: run.startsAt });
    expect(ms(run.startsAt)).toBe(ms(run.createdAt) + 60_000);
    expect((await engine.millrace.queues())[0]).toMatchObject({ workflow: "echo", depth: 0, delayed: 1 });
  });

  test.each([
    ["after a delay", () => ({ delayMs: 200 })],
    ["at a time", () => ({ runAt: new Date(Date.now() + 1_000) })],
  ])("runs %s, and not before", async (_, options) => {
    await engine.worker();
    const { id } = await start(1, options());
    const run = await engine.ended(id);
    expect(run).toMatchObject({ status: "completed", output: 1 });
    expect(ms(run.steps.say!.startedAt)).toBeGreaterThanOrEqual(ms(run.startsAt));
    expect((await engine.millrace.queues())[0]).toMatchObject({ delayed: 0 });
  });

  test("at a time that has passed starts at once", async () => {
    const { id } = await start(1, { runAt: new Date(0) });
    const run = await get(id);
    expect(run.steps.say).toEqual({ status: "queued", attempt: 0, waitingFor: { reason: "worker" } });
    expect(run.startsAt).toBeUndefined();
  });

  test("can be cancelled before it starts", async () => {
    await engine.worker();
    const { id } = await start(1, { delayMs: 60_000 });
    await engine.millrace.runs.cancel(id);
    expect((await engine.events(id)).map((event) => event.type)).toEqual(["run.queued", "run.cancelled"]);
    expect(await get(id)).toMatchObject({ status: "cancelled", steps: { say: { status: "cancelled" } } });
    expect(await rows()).toEqual([]);
  });
});

describe("a time to live", () => {
  const expired = { code: "expired", message: "The run did not start within 100 ms." };

  test("ends a run that no worker has started, and says so", async () => {
    await engine.worker({ steps: (name) => name === "other" });
    const { id } = await start(1, { ttlMs: 100 });
    const before = await get(id);
    expect(ms(before.expiresAt)).toBe(ms(before.createdAt) + 100);
    const events = await engine.events(id);
    expect(events.at(-1)).toMatchObject({ type: "run.failed", data: { error: expired } });
    expect(await get(id)).toMatchObject({ status: "failed", error: expired, steps: { say: { status: "cancelled" } } });
    expect((await engine.millrace.queues())[0]).toMatchObject({ depth: 0, inFlight: 0 });
    expect(await eventually(rows, (left) => left.length === 0)).toEqual([]);
    // There is nothing in it to mend and replay.
    expect((await engine.millrace.deadLetters.list()).data).toEqual([]);
  });

  test("that passed while no worker ran ends a run before the next worker could start it", async () => {
    const runs = await Promise.all(Array.from({ length: 150 }, (_, n) => start(n, { ttlMs: 60_000 })));
    for (const { id } of runs) await comeDue(id, "echo", "ttl");
    await engine.worker();
    for (const { id } of runs) {
      const types = (await engine.events(id)).map((event) => event.type);
      expect(types).toEqual(["run.queued", "run.failed"]);
    }
  });

  test("does not end one that has started", async () => {
    await engine.worker();
    const { id } = await engine.millrace.runs.start(held, {}, { ttlMs: 60_000 });
    await engine.until(id, ({ type }) => type === "step.output");
    await comeDue(id, "held", "ttl");
    await eventually(rows, (left) => left.length === 0);
    gates.open(id);
    expect(await engine.ended(id)).toMatchObject({ status: "completed", output: "through" });
  });
});

describe("a deadline", () => {
  const late = (after: number) => ({ code: "run_deadline", message: `The run did not end within ${after} ms.` });

  test("ends a run when its time comes", async () => {
    await engine.worker();
    const { id } = await engine.millrace.runs.start(held, {}, { deadlineMs: 100 });
    const run = await engine.ended(id);
    expect(run).toMatchObject({ status: "failed", error: late(100) });
    expect(ms(run.endedAt)).toBeGreaterThanOrEqual(ms(run.deadlineAt));
  });

  test("ends a run whose handler is at work: that sees its signal abort", async () => {
    const worker = await engine.worker();
    const { id } = await engine.millrace.runs.start(held, {}, { deadlineMs: 60_000 });
    await engine.until(id, ({ type }) => type === "step.output");
    await comeDue(id, "held", "deadline");
    const run = await engine.ended(id);
    expect(run).toMatchObject({ status: "failed", error: late(60_000), steps: { wait: { status: "cancelled" } } });
    await eventually(
      async () => aborted,
      (ids) => ids.includes(id),
    );
    await worker.stop();
    expect((await get(id)).steps).toMatchObject({ wait: { status: "cancelled" }, after: { status: "pending" } });
  });

  test("of the workflow ends a run that waits to be tried again; a start may say otherwise", async () => {
    await engine.worker();
    const { id } = await engine.millrace.runs.start(impatient, {});
    await engine.until(id, ({ type }) => type === "step.retrying");
    await comeDue(id, "impatient", "deadline");
    const patient = await engine.millrace.runs.start(impatient, {}, { deadlineMs: 60_000 });
    expect(await engine.ended(id)).toMatchObject({
      status: "failed",
      error: late(30_000),
      steps: { fail: { attempt: 1 } },
    });
    const run = await get(patient.id);
    expect(ms(run.deadlineAt)).toBe(ms(run.createdAt) + 60_000);
    await eventually(
      () => get(patient.id),
      ({ steps }) => steps.fail!.status === "retrying",
    );
  });

  test("that is kept leaves no trace in the run, and its row goes when its time comes", async () => {
    await engine.worker();
    const { id } = await start(1, { deadlineMs: 60_000 });
    expect(await engine.ended(id)).toMatchObject({ status: "completed", output: 1 });
    await comeDue(id, "echo", "deadline");
    await eventually(rows, (left) => left.length === 0);
    expect(await get(id)).toMatchObject({ status: "completed" });
  });

  test("counts from when the run can start", async () => {
    const { id } = await start(1, { delayMs: 60_000, deadlineMs: 1_000, ttlMs: 500 });
    const run = await get(id);
    expect(ms(run.deadlineAt)).toBe(ms(run.startsAt) + 1_000);
    expect(ms(run.expiresAt)).toBe(ms(run.startsAt) + 500);
  });
});

describe("tags", () => {
  const listed = async (filter: Parameters<typeof engine.millrace.runs.list>[0]) => {
    const ids: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await engine.millrace.runs.list({ ...filter, limit: 2, ...(cursor && { cursor }) });
      ids.push(...page.data.map(({ id }) => id));
      cursor = page.next;
    } while (cursor !== undefined);
    return ids.sort();
  };

  test("find runs, by page, with the other filters, and for their own tenant", async () => {
    const blue: string[] = [];
    for (let n = 0; n < 5; n++) blue.push((await start(n, { tags: ["blue", `n:${n}`] })).id);
    const others = [
      await engine.millrace.runs.start(other, { n: 1 }, { tags: ["blue"] }),
      await engine.millrace.runs.start(other, { n: 1 }, { tags: ["red"] }),
      await start(1),
    ].map(({ id }) => id);
    await start(1, { tenant: "acme", tags: ["blue"] });
    await engine.millrace.runs.cancel(blue[0]!);
    expect(await listed({ tag: "blue" })).toEqual([...blue, others[0]].sort());
    expect(await listed({ tag: "n:3" })).toEqual([blue[3]]);
    expect(await listed({ tag: "green" })).toEqual([]);
    expect(await listed({ tag: "blue", workflow: "other" })).toEqual([others[0]]);
    expect(await listed({ tag: "red", workflow: "echo" })).toEqual([]);
    expect(await listed({ tag: "blue", status: "cancelled" })).toEqual([blue[0]]);
    expect(await listed({ tag: "blue", workflow: "echo", status: "queued" })).toEqual(blue.slice(1).sort());
    expect(await listed({ tag: "blue", tenant: "acme" })).toHaveLength(1);
  });

  test("are shown with their run", async () => {
    const { id } = await start(1, { tags: ["blue", "user:7", "blue"] });
    const run: RunView = await get(id);
    expect(run.tags).toEqual(["blue", "user:7"]);
    expect((await engine.millrace.runs.list()).data[0]).toMatchObject({ id, tags: ["blue", "user:7"] });
  });
});

test("a start under an id of its own is safe to repeat, whatever its options", async () => {
  const id = newRunId(0);
  const again = (options: StartOptions) => (engine.millrace.runs as Runs).start(echo, { n: 1 }, options, id);
  const options = { delayMs: 60_000, deadlineMs: 5_000, tags: ["blue"] };
  expect(await again(options)).toMatchObject({ id, created: true });
  const before = await rows();
  const dedupe = { key: "k", mode: "debounce", windowMs: 5 } as const;
  for (const options of [{ delayMs: 1 }, { dedupe }])
    expect(await again(options)).toMatchObject({ id, created: false });
  expect(await rows()).toEqual(before);
  expect((await engine.millrace.runs.list()).data).toHaveLength(1);
});

test.each<[string, StartOptions]>([
  ["a delay", { delayMs: -1 }],
  ["tags", { tags: ["a b"] }],
  ["a time more than a year away", { runAt: new Date(Date.now() + 367 * 86_400_000) }],
  ["metadata", { metadata: [] as unknown as StartOptions["metadata"] }],
  ["metadata that is a text", { metadata: "a" as unknown as StartOptions["metadata"] }],
  ["metadata that is nothing", { metadata: null as unknown as StartOptions["metadata"] }],
  ["no deduplication", { dedupe: null as unknown as StartOptions["dedupe"] }],
  ["a deduplication", { delayMs: 5, dedupe: { key: "k", mode: "debounce", windowMs: 5 } }],
])("%s that cannot be is refused, and nothing is stored", async (_, options) => {
  await expect(start(1, options)).rejects.toMatchObject({ code: "invalid_input" });
  expect(await engine.millrace.runs.list()).toEqual({ data: [] });
});
