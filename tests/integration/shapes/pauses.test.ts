import * as v from "valibot";
import { expect, test } from "vitest";
import { FatalError, type RunView, workflow } from "../../../engine/index.ts";
import { testKit } from "../../../engine/testing/index.ts";
import { type EngineUnderTest, engineUnderTest } from "../../support/engine-under-test.ts";
import { Gates } from "../../support/gates.ts";
import { eventually } from "../../support/gateway.ts";
import { kitOptions } from "../../support/kit.ts";
import { rawRedis } from "../../support/redis.ts";

const input = v.object({ n: v.number() });
const tenant = { tenant: "default" };
const parked = { status: "waiting", waitingFor: { reason: "tenant_paused" } };

const seen = (engine: EngineUnderTest, id: string, wanted: (view: RunView) => boolean) =>
  eventually(() => engine.millrace.runs.get(id), wanted);

async function nothingIsLeft(engine: EngineUnderTest): Promise<void> {
  for (const queue of await engine.millrace.queues())
    expect(queue).toMatchObject({ depth: 0, inFlight: 0, delayed: 0 });
  expect(await rawRedis().exists(`{${engine.namespace}:0}:parked:default`)).toBe(0);
}

test("the items of a paused tenant are parked and go on one by one; their step is at work all the while", async () => {
  const gates = new Gates();
  const flow = workflow("flow", { input }).map("map", {
    over: ({ n }) => Array.from({ length: n }, (_, i) => i),
    limit: 3,
    run: async (i, ctx) => {
      if (i === 0) await gates.pass("first", ctx.signal);
      return i;
    },
  });
  await using engine = await engineUnderTest([flow], { partitions: 1 });
  const { millrace } = engine;
  const worker = await engine.worker({ concurrency: 1 });
  const { id } = await millrace.runs.start(flow, { n: 8 });
  await engine.until(id, ({ type, item }) => type === "step.started" && item === 0);
  await millrace.pause(tenant);
  // The next ones are read by a worker that has known of the pause from its start.
  const stopped = worker.stop();
  gates.open("first");
  await stopped;
  await engine.worker();
  const items = async () => (await millrace.runs.items(id, "map")).data.map(({ status }) => status);
  const before = await eventually(items, (all) => all.filter((status) => status === "waiting").length === 3);
  expect(before.filter((status) => status === "queued" || status === "running")).toEqual([]);
  expect(await millrace.runs.get(id)).toMatchObject({ status: "running", steps: { map: { status: "running" } } });
  await millrace.resume(tenant);
  expect(await engine.ended(id)).toMatchObject({ status: "completed", output: [0, 1, 2, 3, 4, 5, 6, 7] });
  await nothingIsLeft(engine);
});

test("what a step had waited for is not forgotten while its tenant is paused", async () => {
  const inner = workflow("inner", { input }).step("only", ({ n }) => n);
  let ran = 0;
  const flow = workflow("flow", { input })
    .waitFor("word", { schema: v.number() })
    .child("child", {
      workflow: inner,
      input: (n) => {
        ran += 1;
        return { n };
      },
    })
    .step("end", (n) => n + 1);
  await using engine = await engineUnderTest([flow], { partitions: 1 });
  const { millrace } = engine;
  const worker = await engine.worker();
  const { id } = await millrace.runs.start(flow, { n: 1 });
  await engine.until(id, ({ type }) => type === "run.waiting");
  const { startedAt } = (await millrace.runs.get(id)).steps.word!;
  await millrace.pause(tenant);
  await worker.stop();
  await engine.worker();
  await millrace.runs.signal(id, "word", 7);
  const { steps, status } = await seen(engine, id, (view) => view.steps.word!.waitingFor?.reason === "tenant_paused");
  expect([status, steps.word]).toMatchObject(["waiting", { ...parked, startedAt }]);
  await millrace.resume(tenant);
  expect(await engine.ended(id)).toMatchObject({ status: "completed", output: 8, steps: { word: { startedAt } } });
  expect(ran).toBe(1);
  await nothingIsLeft(engine);
});

test("a run waits once all that goes on in it is parked, and runs again", async () => {
  const gates = new Gates();
  const fork = workflow("fork", { input })
    .step("slow", { after: [], run: (_, ctx) => gates.pass("slow", ctx.signal) })
    .step("quick", { after: [], run: () => 1 })
    .step("later", { after: ["quick"], run: () => 2 })
    .step("last", { after: ["slow"], run: () => 3 });
  await using engine = await engineUnderTest([fork], { partitions: 1 });
  const { millrace } = engine;
  await engine.worker({ steps: (_, step) => step === "slow" || step === "quick" });
  const { id } = await millrace.runs.start(fork, { n: 1 });
  await engine.until(id, ({ type, step }) => type === "step.completed" && step === "quick");
  await millrace.pause(tenant);
  await engine.worker({ steps: (_, step) => step === "later" || step === "last" });
  expect(await seen(engine, id, ({ steps }) => steps.later!.status === "waiting")).toMatchObject({
    status: "running",
    steps: { slow: { status: "running" }, later: parked },
  });
  gates.open("slow");
  expect(await seen(engine, id, ({ steps }) => steps.last!.status === "waiting")).toMatchObject({
    status: "waiting",
    steps: { later: parked, last: parked },
  });
  expect((await millrace.runs.list({ status: "waiting" })).data).toMatchObject([{ id }]);
  await millrace.resume(tenant);
  expect((await engine.ended(id)).status).toBe("completed");
  await nothingIsLeft(engine);
});

test("what is parked of a run that fails is taken from where it is, and a replay puts it back", async () => {
  const gates = new Gates();
  let fails = true;
  const fork = workflow("fork", { input })
    .step("fails", {
      after: [],
      run: async (_, ctx) => {
        await gates.pass("fails", ctx.signal);
        if (fails) throw new FatalError("never");
      },
    })
    .step("quick", { after: [], run: () => 1 })
    .step("later", { after: ["quick"], run: () => 2 });
  await using engine = await engineUnderTest([fork], { partitions: 1 });
  const { millrace } = engine;
  await engine.worker({ steps: (_, step) => step !== "later" });
  const { id } = await millrace.runs.start(fork, { n: 1 });
  await engine.until(id, ({ type, step }) => type === "step.completed" && step === "quick");
  await millrace.pause(tenant);
  await engine.worker({ steps: (_, step) => step === "later" });
  await seen(engine, id, ({ steps }) => steps.later!.status === "waiting");
  gates.open("fails");
  expect(await engine.ended(id)).toMatchObject({ status: "failed", steps: { later: { status: "cancelled" } } });
  await nothingIsLeft(engine);
  fails = false;
  await millrace.resume(tenant);
  const [letter] = (await millrace.deadLetters.list()).data;
  await millrace.deadLetters.replay(letter!.id);
  expect((await engine.ended(id)).status).toBe("completed");
});

test("under the test kit's clock what is paused is at rest", async () => {
  const flow = workflow("flow", { input })
    .sleep("nap", 3_600_000)
    .step("end", ({ n }) => n);
  await using kit = await testKit([flow], kitOptions());
  await kit.millrace.pause({ workflow: "flow", step: "end" });
  const run = await kit.start(flow, { n: 1 });
  await kit.clock.advance("2 hours");
  expect((await kit.millrace.runs.get(run.id)).steps).toMatchObject({
    nap: { status: "completed" },
    end: { status: "queued", waitingFor: { reason: "paused" } },
  });
  await kit.millrace.pause(tenant);
  await kit.millrace.resume({ workflow: "flow", step: "end" });
  await eventually(
    () => kit.millrace.runs.get(run.id),
    ({ status }) => status === "waiting",
  );
  await kit.clock.advance("2 hours");
  await kit.millrace.resume(tenant);
  expect((await kit.ended(run)).output).toBe(1);
});
