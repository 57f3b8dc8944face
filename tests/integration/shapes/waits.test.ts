import * as v from "valibot";
import { describe, expect, test } from "vitest";
import { workflow } from "../../../engine/index.ts";
import { engineUnderTest } from "../../support/engine-under-test.ts";

const input = v.object({ n: v.number() });

describe("a sleep", () => {
  test("waits with no worker held, and hands its input on", async () => {
    const nap = workflow("nap", { input })
      .sleep("rest", { for: ({ n }) => n })
      .step("end", ({ n }) => n + 1);
    await using engine = await engineUnderTest([nap]);
    await engine.worker();
    const run = await engine.run(nap, { n: 60 });
    expect(run).toMatchObject({
      status: "completed",
      output: 61,
      steps: { rest: { status: "completed", output: { n: 60 } } },
    });
    const events = await engine.events(run.id);
    expect(events.map((event) => event.type)).toEqual([
      ...["run.queued", "run.started", "step.started", "run.waiting", "step.completed"],
      ...["step.started", "step.completed", "run.completed"],
    ]);
    const [waiting, woken] = [events[3]!, events[4]!].map(({ at }) => Date.parse(at));
    expect(woken! - waiting!).toBeGreaterThanOrEqual(60);
  });

  test("until a time that is over, it does not wait", async () => {
    const past = workflow("past", { input }).sleep("rest", { until: "2020-01-01" });
    await using engine = await engineUnderTest([past]);
    await engine.worker();
    expect(await engine.run(past, { n: 1 })).toMatchObject({ status: "completed", output: { n: 1 } });
  });

  test("is shown with its end, and cancelled with its run", async () => {
    const long = workflow("long", { input }).sleep("rest", 86_400_000);
    await using engine = await engineUnderTest([long]);
    await engine.worker();
    const { id } = await engine.millrace.runs.start(long, { n: 1 });
    await engine.until(id, ({ type }) => type === "run.waiting");
    const { status, steps } = await engine.millrace.runs.get(id);
    expect(status).toBe("waiting");
    expect(steps.rest).toMatchObject({ status: "waiting", waitingFor: { reason: "sleep" } });
    expect(Date.parse(steps.rest!.waitingFor!.until!) - Date.now()).toBeGreaterThan(86_000_000);
    expect((await engine.millrace.runs.list({ status: "waiting" })).data).toMatchObject([{ id }]);
    await engine.millrace.runs.cancel(id);
    expect(await engine.ended(id)).toMatchObject({ status: "cancelled" });
    expect((await engine.millrace.queues())[0]).toMatchObject({ delayed: 0, depth: 0 });
  });
});

describe("a signal", () => {
  const approval = workflow("approval", { input })
    .waitFor("approve", { schema: v.object({ by: v.string() }) })
    .step("end", ({ by }) => `approved by ${by}`);

  test("goes to the step that waits for it", async () => {
    await using engine = await engineUnderTest([approval]);
    await engine.worker();
    const { id } = await engine.millrace.runs.start(approval, { n: 1 });
    await engine.until(id, ({ type }) => type === "run.waiting");
    expect((await engine.millrace.runs.get(id)).steps.approve).toMatchObject({ waitingFor: { reason: "signal" } });
    await engine.millrace.runs.signal(id, "approve", { by: "ann" });
    expect(await engine.ended(id)).toMatchObject({ status: "completed", output: "approved by ann" });
  });

  test("that comes before the wait is kept", async () => {
    await using engine = await engineUnderTest([approval]);
    const { id } = await engine.millrace.runs.start(approval, { n: 1 });
    await engine.millrace.runs.signal(id, "approve", { by: "early" });
    await engine.worker();
    expect(await engine.ended(id)).toMatchObject({ status: "completed", output: "approved by early" });
  });

  test("counts once with one key; another one is refused", async () => {
    await using engine = await engineUnderTest([approval]);
    const { runs } = engine.millrace;
    const { id } = await runs.start(approval, { n: 1 });
    await runs.signal(id, "approve", { by: "ann" }, { key: "k" });
    await runs.signal(id, "approve", { by: "ann again" }, { key: "k" });
    await expect(runs.signal(id, "approve", { by: "bob" })).rejects.toMatchObject({ code: "signal_settled" });
    await engine.worker();
    expect(await engine.ended(id)).toMatchObject({ output: "approved by ann" });
    await runs.signal(id, "approve", { by: "ann" }, { key: "k" });
    await expect(runs.signal(id, "approve", { by: "bob" })).rejects.toMatchObject({ code: "signal_settled" });
  });

  test("is refused where it does not fit, where there is no such wait, and where there is no such run", async () => {
    await using engine = await engineUnderTest([approval]);
    const { runs } = engine.millrace;
    const { id } = await runs.start(approval, { n: 1 });
    await expect(runs.signal(id, "approve", { by: 1 })).rejects.toMatchObject({ code: "invalid_input" });
    await expect(runs.signal(id, "end", { by: "ann" })).rejects.toMatchObject({ code: "not_found" });
    await expect(runs.signal("nope", "approve", { by: "ann" })).rejects.toMatchObject({ code: "not_found" });
    await expect(runs.signal(id, "approve", { by: "ann" }, { key: "a b" })).rejects.toMatchObject({
      code: "invalid_input",
    });
    await runs.cancel(id);
    await expect(runs.signal(id, "approve", { by: "ann" })).rejects.toMatchObject({ code: "run_ended" });
  });

  test("is refused where its schema takes the data, but not what JSON makes of it; without data it brings null", async () => {
    const flow = workflow("flow", { input })
      .waitFor("date", { after: [], schema: v.date() })
      .waitFor("maybe", { after: [], schema: v.optional(v.string()) })
      .waitFor("nothing", { after: [], schema: v.nullable(v.string()) });
    await using engine = await engineUnderTest([flow]);
    const { runs } = engine.millrace;
    const { id } = await runs.start(flow, { n: 1 });
    await expect(runs.signal(id, "date", new Date())).rejects.toMatchObject({ code: "invalid_input" });
    await expect(runs.signal(id, "maybe")).rejects.toMatchObject({ code: "invalid_input" });
    await runs.signal(id, "nothing");
    await engine.worker();
    await engine.until(id, ({ type, step }) => type === "step.completed" && step === "nothing");
    expect((await runs.get(id)).steps.nothing).toMatchObject({ status: "completed", output: null });
  });

  test("that does not fit fails the wait where its sender did not know; replayed, that waits for another", async () => {
    const timed = workflow("typed", { input }).waitFor("answer", { schema: v.string(), timeoutMs: 86_400_000 });
    await using engine = await engineUnderTest([timed]);
    await engine.worker();
    await using operator = await engineUnderTest([], { namespace: engine.namespace });
    const { id } = await engine.millrace.runs.start(timed, { n: 1 });
    await operator.millrace.runs.signal(id, "answer", 1);
    const failed = await engine.ended(id);
    expect(failed).toMatchObject({ status: "failed", error: { code: "invalid_signal" } });
    const [letter] = (await engine.millrace.deadLetters.list()).data;
    await engine.millrace.deadLetters.replay(letter!.id);
    await engine.millrace.runs.signal(id, "answer", "yes");
    await engine.events(id, failed.seq);
    expect((await engine.millrace.runs.get(id)).output).toEqual({ timedOut: false, data: "yes" });
  });

  test("a wait that times out takes its own path", async () => {
    const timed = workflow("timed", { input })
      .waitFor("approve", { schema: v.string(), timeoutMs: 50 })
      .step("approved", { after: ["approve"], when: (signal) => !signal.timedOut, run: () => "approved" })
      .step("escalated", { after: ["approve"], when: (signal) => signal.timedOut, run: () => "escalated" });
    await using engine = await engineUnderTest([timed]);
    await engine.worker();
    expect(await engine.run(timed, { n: 1 })).toMatchObject({
      status: "completed",
      output: { escalated: "escalated" },
    });
    const { id } = await engine.millrace.runs.start(timed, { n: 1 });
    await engine.millrace.runs.signal(id, "approve", "yes");
    expect(await engine.ended(id)).toMatchObject({ output: { approved: "approved" } });
  });
});
