import { any } from "valibot";
import { expect, test } from "vitest";
import { internalsOf } from "../../../engine/connect.ts";
import { workflow } from "../../../engine/index.ts";
import { overdue } from "../../../engine/overdue.ts";
import { StartStore } from "../../../engine/store/start-store.ts";
import { engineUnderTest } from "../../support/engine-under-test.ts";
import { leftovers, rawRedis, redisUrl } from "../../support/redis.ts";

const build = (version: number) =>
  workflow("doc", { version, input: any() })
    .waitFor("go", { schema: any() })
    .step("end", () => version);

test("a run that is to start later does so on the new version, within its limits", async () => {
  await using engine = await engineUnderTest([build(1), build(2)]);
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
  await using engine = await engineUnderTest([build(1), build(2)]);
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
  await using engine = await engineUnderTest([build(1), build(2)]);
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

test("a run that has a slot gives it up as it is moved, and the next one has it; retired, nothing of the gate is left", async () => {
  const limited = (version: number) =>
    workflow("doc", { version, input: any() })
      .step("work", { limits: { concurrency: 1 }, run: () => version })
      .step("end", (made) => made);
  await using engine = await engineUnderTest([limited(1), limited(2)]);
  await using old = await engineUnderTest([limited(1)], { namespace: engine.namespace });
  // It sets the limits, and then does nothing.
  await engine.millrace.pause({ workflow: "doc" });
  await (await old.worker()).stop();
  const first = await old.millrace.runs.start("doc", null);
  const second = await old.millrace.runs.start("doc", null);
  expect(await engine.millrace.runs.get(second.id)).toMatchObject({ status: "waiting" });
  expect(await engine.millrace.migrate({ workflow: "doc", from: 1, runs: [first.id, second.id] })).toMatchObject({
    moved: 1,
    left: [{ run: second.id, outcome: "busy", reason: 'step "work" waits for a limit' }],
  });
  expect(await engine.millrace.migrate({ workflow: "doc", from: 1 })).toMatchObject({ left: [{ outcome: "busy" }] });
  await engine.millrace.resume({ workflow: "doc" });
  const worker = await old.worker();
  expect(await engine.ended(second.id)).toMatchObject({ version: 1, output: 1 });
  await worker.stop();
  await engine.millrace.retireVersion("doc", 1);
  const left = (await leftovers(redisUrl, engine.namespace)).filter((key) => key.includes("doc@1"));
  expect(left).toEqual([]);
  await engine.worker();
  expect(await engine.ended(first.id)).toMatchObject({ version: 2, output: 2 });
});
