import { any } from "valibot";
import { describe, expect, test } from "vitest";
import { internalsOf } from "../../../engine/connect.ts";
import { workflow } from "../../../engine/index.ts";
import { overdue } from "../../../engine/overdue.ts";
import { StartStore } from "../../../engine/store/start-store.ts";
import { type EngineUnderTest, engineUnderTest } from "../../support/engine-under-test.ts";
import { leftovers, rawRedis, redisUrl } from "../../support/redis.ts";

const build = (version: number) =>
  workflow("doc", { version, input: any() })
    .waitFor("go", { schema: any() })
    .step("end", () => version);

test("a run that is to start later does so on the new version, within its limits", async () => {
  await using engine = await engineUnderTest([build(1), build(2)], { partitions: 1 });
  await using old = await engineUnderTest([build(1)], { namespace: engine.namespace });
  const { id } = await old.millrace.runs.start("doc", null, { delayMs: 80_000, ttlMs: 1_000, deadlineMs: 5_000 });
  const timers = async () => {
    const flat = await rawRedis().zrange(`{${engine.namespace}:0}:timers`, "0", "-1", "WITHSCORES");
    return flat.map((each) => each.replace(id, "RUN"));
  };
  const before = await timers();
  expect(await engine.millrace.migrate({ workflow: "doc", from: 1 })).toMatchObject({ moved: 1 });
  const after = await timers();
  expect(after).toEqual(before.map((each) => each.replace("|doc|1|", "|doc|2|")));
  expect(after).not.toEqual(before);
  const view = await engine.millrace.runs.get(id);
  expect(view).toMatchObject({ version: 2, status: "queued", steps: { go: { waitingFor: { reason: "delay" } } } });
  await engine.millrace.runs.cancel(id);
  expect(await timers()).toEqual([]);
});

test("a run that is moved while it is found past its deadline ends all the same", async () => {
  await using engine = await engineUnderTest([build(1), build(2)], { partitions: 1 });
  await using old = await engineUnderTest([build(1)], { namespace: engine.namespace });
  const { id } = await old.millrace.runs.start("doc", null, { deadlineMs: 60_000 });
  await engine.millrace.migrate({ workflow: "doc", from: 1 });
  const { client, store } = internalsOf(engine.millrace);
  const graphs = { of: async (_: string, version: number) => build(version).graph };
  const goOn = overdue(new StartStore(client, store), graphs);
  const row = { kind: "overdue", run: id, workflow: "doc", version: "1", limit: "deadline" } as const;
  expect(await goOn(row)).toBeUndefined();
  expect(await engine.millrace.runs.get(id)).toMatchObject({
    ...{ version: 2, status: "failed", error: { code: "run_deadline" } },
    steps: { go: { status: "cancelled" } },
  });
  expect((await engine.millrace.queues()).every(({ depth }) => depth === 0)).toBe(true);
});

test("a run of high priority stays in its lane; one that its tenant's pause has parked is left", async () => {
  await using engine = await engineUnderTest([build(1), build(2)], { partitions: 1 });
  await using old = await engineUnderTest([build(1)], { namespace: engine.namespace });
  const { id } = await old.millrace.runs.start("doc", null, { priority: "high" });
  expect(await engine.millrace.migrate({ workflow: "doc", from: 1 })).toMatchObject({ moved: 1 });
  const queue = (await engine.millrace.queues()).find((each) => each.version === 2 && each.step === "go");
  expect(queue).toMatchObject({ depth: 1, lanes: { high: 1, normal: 0 } });
  await engine.millrace.retireVersion("doc", 1);
  const lanes = await rawRedis().hkeys(`{${engine.namespace}:0}:lanes`);
  expect(lanes).toEqual(["doc@2:high"]);
  const worker = await engine.worker();
  await engine.millrace.runs.signal(id, "go", null);
  expect(await engine.ended(id)).toMatchObject({ version: 2, priority: "high", output: 2 });

  await worker.stop();
  await engine.millrace.pause({ tenant: "default" });
  await engine.worker();
  const parked = await engine.millrace.runs.start("doc", null);
  await engine.until(parked.id, ({ type }) => type === "run.waiting");
  await using back = await engineUnderTest([build(1)], { namespace: engine.namespace });
  expect(await back.millrace.migrate({ workflow: "doc", from: 2 })).toMatchObject({
    left: [{ run: parked.id, outcome: "busy", reason: 'step "go" is parked' }],
  });
});

describe("a step with limits", () => {
  const limited = (version: number) =>
    workflow("doc", { version, input: any() })
      .step("work", { limits: { concurrency: 1 }, run: () => version })
      .step("end", (made) => made);

  /** The engine with both versions, and so many runs of the old one, of which only the first has a slot. */
  async function opened(count: number) {
    const engine = await engineUnderTest([limited(1), limited(2)], { partitions: 1 });
    const old = await engineUnderTest([limited(1)], { namespace: engine.namespace });
    // It sets the limits, and then does nothing.
    await engine.millrace.pause({ workflow: "doc" });
    const worker = await old.worker();
    const runs: string[] = [];
    for (let n = 0; n < count; n += 1) runs.push((await old.millrace.runs.start("doc", null)).id);
    const [slot, ...waiting] = runs as [string, ...string[]];
    const close = async () => {
      await old[Symbol.asyncDispose]();
      await engine[Symbol.asyncDispose]();
    };
    return { engine, worker, slot, waiting, [Symbol.asyncDispose]: close };
  }

  /** Forgets the old version, of which nothing is left then. */
  async function retire({ millrace, namespace }: EngineUnderTest): Promise<void> {
    await millrace.retireVersion("doc", 1);
    expect((await leftovers(redisUrl, namespace)).filter((key) => key.includes("doc@1"))).toEqual([]);
  }

  test("a run that has a slot gives it up as it is moved, and the next one has it", async () => {
    await using bench = await opened(3);
    const { engine, worker, slot, waiting } = bench;
    const [second, third] = waiting as [string, string];
    expect(await engine.millrace.runs.get(second)).toMatchObject({
      ...{ status: "waiting", steps: { work: { waitingFor: { reason: "limit" } } } },
    });
    expect(await engine.millrace.migrate({ workflow: "doc", from: 1, runs: [slot, third] })).toMatchObject({
      moved: 2,
    });
    await engine.millrace.resume({ workflow: "doc" });
    expect(await engine.ended(second)).toMatchObject({ version: 1, output: 1 });
    await worker.stop();
    await retire(engine);
    await engine.worker();
    for (const id of [slot, third]) expect(await engine.ended(id)).toMatchObject({ version: 2, output: 2 });
  });

  test("what waits for it is moved where nobody serves the old version, one that was given a slot since among them", async () => {
    await using bench = await opened(4);
    const { engine, worker, slot, waiting } = bench;
    await worker.stop();
    const move = (runs: string[]) => engine.millrace.migrate({ workflow: "doc", from: 1, runs });
    // The second has a slot then, of which its record does not know.
    expect(await move([slot])).toMatchObject({ moved: 1 });
    expect(await move(waiting)).toMatchObject({ moved: 3, busy: 0 });
    for (const id of waiting) {
      const view = { status: "queued", version: 2, steps: { work: { status: "queued" } } };
      expect(await engine.millrace.runs.get(id)).toMatchObject(view);
    }
    expect((await engine.millrace.runs.list({ status: "queued" })).data).toHaveLength(4);
    expect((await engine.millrace.runs.list({ status: "waiting" })).data).toEqual([]);
    await retire(engine);
    await engine.millrace.resume({ workflow: "doc" });
    await engine.worker();
    for (const id of [slot, ...waiting]) {
      expect(await engine.ended(id)).toMatchObject({ status: "completed", version: 2, output: 2 });
      const events = await engine.events(id);
      expect(events.filter(({ type }) => type === "run.started" || type === "step.started")).toHaveLength(3);
    }
  });

  test("a run that was given back with its slot, and one behind it, both begun, go on with the other version", async () => {
    const held = (version: number) =>
      workflow("doc", { version, input: any() })
        .step("begin", () => "begun")
        .step("work", {
          limits: { concurrency: 1 },
          run: (each, ctx) =>
            version === 2
              ? `${each}, then done by 2`
              : new Promise<string>((_, reject) =>
                  ctx.signal.addEventListener("abort", () => reject(ctx.signal.reason)),
                ),
        });
    await using engine = await engineUnderTest([held(1), held(2)], { partitions: 1 });
    await using old = await engineUnderTest([held(1)], { namespace: engine.namespace });
    const worker = await old.worker({ drainMs: 0 });
    const first = await old.millrace.runs.start("doc", null);
    await engine.until(first.id, ({ type, step }) => type === "step.started" && step === "work");
    const second = await old.millrace.runs.start("doc", null);
    await engine.until(second.id, ({ type }) => type === "run.waiting");
    expect(await engine.millrace.migrate({ workflow: "doc", from: 1, runs: [first.id] })).toMatchObject({
      left: [{ reason: 'step "work" is in a worker\'s hands' }],
    });
    await worker.stop();
    expect(await engine.millrace.migrate({ workflow: "doc", from: 1 })).toMatchObject({ moved: 2, left: [] });
    for (const { id } of [first, second]) expect((await engine.millrace.runs.summary(id)).status).toBe("running");
    await retire(engine);
    await engine.worker();
    for (const { id } of [first, second])
      expect(await engine.ended(id)).toMatchObject({ version: 2, output: "begun, then done by 2" });
  });
});
