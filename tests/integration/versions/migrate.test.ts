import { any } from "valibot";
import { describe, expect, expectTypeOf, test } from "vitest";
import { type RunView, workflow } from "../../../engine/index.ts";
import { deployed, one, two } from "../../support/deployed.ts";
import { engineUnderTest } from "../../support/engine-under-test.ts";
import { Gates } from "../../support/gates.ts";

describe("a run that waits for a signal", () => {
  test("goes on in the new version at the same step, with what it has come to", async () => {
    const { engine, ids } = await deployed();
    await using _ = engine;
    const [id] = ids as [string];
    expect(await engine.millrace.migrate({ workflow: "doc", from: 1 })).toEqual({
      ...{ moved: 1, cancelled: 0, skipped: 0, busy: 0, failed: 0, left: [] },
    });
    expect(await engine.millrace.runs.get(id)).toMatchObject({
      ...{ version: 2, status: "waiting" },
      steps: {
        read: { status: "completed", output: "read 0" },
        approve: { status: "waiting", waitingFor: { reason: "signal" } },
        check: { status: "pending" },
      },
    });
    await engine.worker();
    await engine.millrace.runs.signal(id, "approve", "ann");
    expect(await engine.ended(id)).toMatchObject({ status: "completed", output: "filed for ann, checked by 2" });
    const events = await engine.events(id);
    expect(events.map(({ type, data }) => (data === undefined ? type : [type, data]))).toContainEqual([
      "run.queued",
      { version: 2, from: 1 },
    ]);
    // Nothing of the old version is left, and there is nothing more to move.
    expect(
      (await engine.millrace.queues()).every(({ depth, delayed, inFlight }) => depth + delayed + inFlight === 0),
    ).toBe(true);
    expect(await engine.millrace.migrate({ workflow: "doc", from: 1 })).toMatchObject({ moved: 0, skipped: 0 });
  });

  test("goes where the user's function says, with outputs and an input of its own", async () => {
    const { engine, ids } = await deployed(4);
    await using _ = engine;
    const byNumber = async (run: RunView) => {
      expect(run).toMatchObject({ version: 1, status: "waiting", steps: { read: { status: "completed" } } });
      const { n } = run.input as { n: number };
      if (n === 0) return "skip" as const;
      if (n === 1) return "cancel" as const;
      if (n === 2) return { at: "file" as const, outputs: { approve: "nobody", check: "unchecked" } };
      return { at: "read" as const, input: { n: 30 } };
    };
    const result = await engine.millrace.migrate({ workflow: two, from: 1 }, byNumber);
    expect(result).toEqual({
      ...{ moved: 2, cancelled: 1, skipped: 1, busy: 0, failed: 0 },
      left: [{ run: ids[0], outcome: "skipped", reason: "as decided" }],
    });
    await engine.worker();
    expect(await engine.ended(ids[1]!)).toMatchObject({ version: 1, status: "cancelled" });
    expect(await engine.ended(ids[2]!)).toMatchObject({
      output: "filed for unchecked by 2",
      steps: { approve: { output: "nobody" }, check: { status: "completed", output: "unchecked" } },
    });
    await engine.until(ids[3]!, ({ type, seq }) => type === "run.waiting" && seq > 6);
    await engine.millrace.runs.signal(ids[3]!, "approve", "bob");
    expect(await engine.ended(ids[3]!)).toMatchObject({
      ...{ input: { n: 30 }, output: "filed for bob, checked by 2" },
      steps: { read: { output: "read 30 by 2" } },
    });
    expect(await engine.millrace.runs.get(ids[0]!)).toMatchObject({ version: 1, status: "waiting" });
  });

  test("is left, with the reason, where what is said of it does not go", async () => {
    const { engine, ids } = await deployed();
    await using _ = engine;
    const { millrace } = engine;
    const [run] = ids as [string];
    const before = await millrace.runs.get(run);
    // biome-ignore lint/suspicious/noExplicitAny: what a caller without types may return
    const failing = async (decision: any) => {
      const result = await millrace.migrate({ workflow: "doc", from: 1, to: 2 }, () => decision);
      expect(result).toMatchObject({ moved: 0, failed: 1, left: [{ run, outcome: "failed" }] });
      return result.left[0]!.reason;
    };
    expect(await failing({ at: "nope" })).toBe('version 2 has no step "nope": it has read, approve, check, file');
    expect(await failing({ at: "file" })).toBe(
      'step "file" has no input, since "check" has no output: give it in outputs',
    );
    expect(await failing(undefined)).toMatch(/must give \{at: STEP\}/);
    expect(await failing({ at: [1] })).toMatch(/must give \{at: STEP\}/);
    expect(await failing({ at: "approve", outputs: 1 })).toBe("outputs must be an object of outputs by step");
    expect(await failing({ at: "approve", outputs: { read: 1n } })).toMatch(/output of read cannot be written as JSON/);
    expect(await failing({ at: "read", input: { n: "one" } })).toMatch(/n: /);
    const threw = await millrace.migrate({ workflow: "doc", from: 1, to: 2 }, () => {
      throw new Error("who knows");
    });
    expect(threw.left[0]).toMatchObject({ reason: "the function that decides threw: who knows" });
    expect(await millrace.migrate({ workflow: "doc", from: 1, dryRun: true })).toMatchObject({ moved: 1 });
    expect(await millrace.runs.get(run)).toEqual(before);
  });

  test("is moved back as well", async () => {
    const { engine, ids } = await deployed();
    await using _ = engine;
    await engine.millrace.migrate({ workflow: "doc", from: 1, to: 2 });
    expect(await engine.millrace.migrate({ workflow: "doc", from: 2, to: 1 })).toMatchObject({ moved: 1 });
    expect(await engine.millrace.runs.get(ids[0]!)).toMatchObject({ version: 1, status: "waiting" });
  });
});

describe("runs that somebody works on are left for a later call:", () => {
  test("a step in a worker's hands, and the items of a map", async () => {
    const gates = new Gates();
    const build = (version: number) =>
      workflow("busy", { version, input: any() })
        .step("hold", async (each, ctx) => {
          await gates.pass("hold", ctx.signal);
          return each;
        })
        .map("each", {
          over: () => [1, 2],
          run: async (_, ctx) => {
            await gates.pass("item", ctx.signal);
          },
        })
        .waitFor("go", { schema: any() });
    await using engine = await engineUnderTest([build(1), build(2)]);
    await using old = await engineUnderTest([build(1)], { namespace: engine.namespace });
    await old.worker();
    const { id } = await old.millrace.runs.start("busy", null);
    const move = () => engine.millrace.migrate({ workflow: "busy", from: 1 });
    await old.until(id, ({ type }) => type === "step.started");
    expect(await move()).toMatchObject({ busy: 1, left: [{ reason: 'step "hold" is in a worker\'s hands' }] });
    gates.open("hold");
    await old.until(id, ({ item }) => item === 0);
    expect(await move()).toMatchObject({ busy: 1, left: [{ reason: 'the items of step "each" are under way' }] });
    gates.open("item");
    await old.until(id, ({ type }) => type === "run.waiting");
    expect(await move()).toMatchObject({ moved: 1, left: [] });
    expect(await engine.millrace.runs.get(id)).toMatchObject({
      steps: { each: { status: "completed", items: { done: 2 } }, go: { status: "waiting" } },
    });
  });

  test("a child run that is waited for; the child itself is moved, if what its parent reads stays", async () => {
    const inner = workflow("inner", { input: any() }).waitFor("go", { schema: any() });
    const innerTwo = workflow("inner", { version: 2, input: any() }).waitFor("go", { schema: any() });
    const innerThree = workflow("inner", { version: 3, input: any() })
      .waitFor("go", { schema: any() })
      .step("more", () => "more");
    const outer = (version: number) =>
      workflow("outer", { version, input: any() }).child("inner", { workflow: inner, input: () => null });
    await using engine = await engineUnderTest([outer(1), outer(2), innerTwo, innerThree]);
    await using old = await engineUnderTest([outer(1)], { namespace: engine.namespace });
    await engine.worker();
    const { id } = await old.millrace.runs.start("outer", null);
    await old.until(id, ({ type }) => type === "run.waiting");
    expect(await engine.millrace.migrate({ workflow: "outer", from: 1 })).toMatchObject({
      left: [{ run: id, outcome: "busy", reason: 'step "inner" waits for a child run' }],
    });
    const child = (await engine.millrace.runs.get(id)).steps.inner!.waitingFor!.run!;
    await engine.until(child, ({ type }) => type === "run.waiting");
    expect(await engine.millrace.migrate({ workflow: "inner", from: 1, to: 3 })).toMatchObject({
      left: [{ run: child, outcome: "skipped", reason: expect.stringMatching(/its parent reads/) }],
    });
    expect(await engine.millrace.migrate({ workflow: "inner", from: 1, to: 2 })).toMatchObject({ moved: 1 });
    await engine.millrace.runs.signal(child, "go", "went");
    expect(await engine.ended(id)).toMatchObject({ output: "went" });
  });
});

test("a sleep goes on to its time, a retry keeps its attempts, and steps side by side are moved together", async () => {
  let failures = 0;
  const build = (version: number) =>
    workflow("wide", { version, input: any() })
      .step("a", { after: [], run: () => "a" })
      .sleep("nap", { after: ["a"], for: 86_400_000 })
      .step("flaky", {
        after: ["a"],
        retry: { baseMs: 86_400_000, maxMs: 86_400_000, jitter: "none" },
        run: () => {
          failures += 1;
          throw new Error("no");
        },
      })
      .waitFor("go", { after: ["a"], schema: any(), timeoutMs: 86_400_000 })
      .step("end", { after: ["nap", "flaky", "go"], run: (all) => all });
  await using engine = await engineUnderTest([build(1), build(2)]);
  await using old = await engineUnderTest([build(1)], { namespace: engine.namespace });
  const worker = await engine.worker();
  const { id } = await old.millrace.runs.start("wide", null);
  await engine.until(id, ({ type }) => type === "step.retrying");
  await old.millrace.runs.signal(id, "go", "went");
  await engine.until(id, ({ type, step }) => type === "step.completed" && step === "go");
  const parked = async () => (await engine.millrace.runs.get(id)).steps.nap!.status === "waiting";
  while (!(await parked())) await new Promise((resolve) => setImmediate(resolve));
  await worker.stop();
  const before = await engine.millrace.runs.get(id);
  expect(await engine.millrace.migrate({ workflow: "wide", from: 1 })).toMatchObject({ moved: 1, left: [] });
  const after = await engine.millrace.runs.get(id);
  expect({ ...after, version: 1, seq: before.seq }).toEqual(before);
  expect(after).toMatchObject({
    status: "running",
    steps: { flaky: { status: "retrying" }, nap: { status: "waiting" } },
  });
  const delayed = (await engine.millrace.queues()).map((each) => [each.version, each.step, each.delayed]);
  expect(delayed.filter(([, , count]) => count !== 0)).toEqual([
    [2, "nap", 1],
    [2, "flaky", 1],
  ]);
  expect(failures).toBe(1);
  await engine.millrace.runs.cancel(id);
  expect((await engine.millrace.queues()).every((each) => each.delayed === 0)).toBe(true);
});

test("with definitions, steps, outputs and the input have their types", async () => {
  await using engine = await engineUnderTest([one, two]);
  const { migrate } = engine.millrace;
  await migrate({ workflow: two, from: 1 }, (run) => {
    expectTypeOf(run).toEqualTypeOf<RunView>();
    return { at: ["file"], outputs: { check: "done" }, input: { n: 1 } };
  });
  // @ts-expect-error there is no such step
  await migrate({ workflow: two, from: 1 }, () => ({ at: "nope" }));
  // @ts-expect-error a number is no output of that step
  await migrate({ workflow: two, from: 1 }, () => ({ at: "file", outputs: { check: 1 } }));
  // @ts-expect-error that is not the input
  await migrate({ workflow: two, from: 1 }, () => ({ at: "file", input: { m: 1 } }));
  await migrate({ workflow: "doc", from: 1, to: 2 }, () => ({ at: "anything", outputs: { check: 1 } }));
});
