import * as v from "valibot";
import { describe, expect, test } from "vitest";
import { FatalError, workflow } from "../../../engine/index.ts";
import { engineUnderTest } from "../../support/engine-under-test.ts";

const input = v.object({ n: v.number() });
const child = workflow("child", { input }).step("work", ({ n }) => {
  if (n < 0) throw new FatalError(`negative ${n}`);
  return 2 * n;
});
const slow = workflow("slow-child", { input }).sleep("rest", 86_400_000);

describe("a child run", () => {
  const parent = workflow("parent", { input })
    .child("inner", { workflow: child, input: ({ n }) => ({ n: n + 1 }) })
    .step("end", (n) => n + 1);

  test("is started and waited for", async () => {
    await using engine = await engineUnderTest([parent]);
    await engine.worker();
    expect(await engine.run(parent, { n: 1 })).toMatchObject({ status: "completed", output: 5 });
    expect((await engine.millrace.runs.list({ workflow: "child" })).data).toHaveLength(1);
  });

  test("of a map's elements, as many wait at once as its limit says", async () => {
    const all = Promise.withResolvers<void>();
    let here = 0;
    const each = workflow("each", { input: v.number() })
      .step("come", () => {
        here += 1;
        if (here === 150) all.resolve();
      })
      .waitFor("go", { schema: v.any() });
    const outer = workflow("outer", { input: v.array(v.number()) }).map("inner", {
      over: (list) => list,
      limit: 150,
      workflow: each,
      input: (n) => n,
    });
    await using engine = await engineUnderTest([outer]);
    await engine.worker();
    const { id } = await engine.millrace.runs.start(outer, Array(150).fill(1));
    await all.promise;
    await engine.millrace.runs.cancel(id);
    expect(await engine.ended(id)).toMatchObject({ status: "cancelled" });
  });

  test("is not deleted before its parent has read what it came to", async () => {
    const kept = workflow("kept", { input })
      .waitFor("go", { schema: v.any() })
      .step("end", () => 5);
    const outer = workflow("outer", { input }).child("inner", { workflow: kept, input: (given) => given });
    await using engine = await engineUnderTest([outer]);
    await engine.worker();
    const { millrace } = engine;
    const { id } = await millrace.runs.start(outer, { n: 1 });
    await engine.until(id, ({ type }) => type === "run.waiting");
    const inner = (await millrace.runs.get(id)).steps.inner!.waitingFor!.run!;
    await millrace.pause({ workflow: "outer" });
    await millrace.runs.signal(inner, "go");
    await engine.ended(inner);
    await expect(millrace.runs.delete(inner)).rejects.toMatchObject({ code: "run_awaited" });
    await millrace.resume({ workflow: "outer" });
    expect(await engine.ended(id)).toMatchObject({ status: "completed", output: 5 });
    await millrace.runs.delete(inner);
  });

  test("its failure is its parent's; replayed, the parent starts another", async () => {
    let broken = true;
    const flaky = workflow("flaky-child", { input }).step("work", () => {
      if (broken) throw new FatalError("broken");
      return 7;
    });
    const outer = workflow("outer", { input }).child("inner", { workflow: flaky, input: (given) => given });
    await using engine = await engineUnderTest([outer]);
    await engine.worker();
    const { id } = await engine.millrace.runs.start(outer, { n: 1 });
    const failed = await engine.ended(id);
    expect(failed).toMatchObject({ status: "failed", error: { code: "child_failed", cause: { message: "broken" } } });
    broken = false;
    const { data } = await engine.millrace.deadLetters.list({ workflow: "outer" });
    await engine.millrace.deadLetters.replay(data[0]!.id);
    await engine.events(id, failed.seq);
    expect(await engine.millrace.runs.get(id)).toMatchObject({ status: "completed", output: 7 });
  });

  test("that comes to nothing gives null", async () => {
    const none = workflow("none", { input }).step("work", { when: () => false, run: () => 1 });
    const outer = workflow("outer", { input })
      .child("bare", { after: [], workflow: none, input: (given) => given })
      .child("settled", { after: [], workflow: none, input: (given) => given, onFailure: "collect" });
    await using engine = await engineUnderTest([outer]);
    await engine.worker();
    expect((await engine.run(outer, { n: 1 })).output).toEqual({ bare: null, settled: { ok: true, output: null } });
  });

  test("its failure may be a result", async () => {
    const lenient = workflow("lenient", { input }).child("inner", {
      workflow: child,
      input: (given) => given,
      onFailure: "collect",
    });
    await using engine = await engineUnderTest([lenient]);
    await engine.worker();
    expect((await engine.run(lenient, { n: -1 })).output).toMatchObject({ ok: false, error: { code: "child_failed" } });
    expect((await engine.run(lenient, { n: 1 })).output).toEqual({ ok: true, output: 2 });
  });

  test.each(["cancel", "leave"] as const)("when its parent is cancelled: %s", async (onCancel) => {
    const outer = workflow("outer", { input }).child("inner", { workflow: slow, input: (given) => given, onCancel });
    await using engine = await engineUnderTest([outer]);
    await engine.worker();
    const { id } = await engine.millrace.runs.start(outer, { n: 1 });
    await engine.until(id, ({ type }) => type === "run.waiting");
    const { waitingFor } = (await engine.millrace.runs.get(id)).steps.inner!;
    expect(waitingFor).toMatchObject({ reason: "child" });
    await engine.until(waitingFor!.run!, ({ type }) => type === "run.waiting");
    await engine.millrace.runs.cancel(id);
    if (onCancel === "cancel") expect(await engine.ended(waitingFor!.run!)).toMatchObject({ status: "cancelled" });
    else expect(await engine.millrace.runs.get(waitingFor!.run!)).toMatchObject({ status: "waiting" });
  });

  test("that is cancelled fails its parent", async () => {
    const outer = workflow("outer", { input }).child("inner", { workflow: slow, input: (given) => given });
    await using engine = await engineUnderTest([outer]);
    await engine.worker();
    const { id } = await engine.millrace.runs.start(outer, { n: 1 });
    await engine.until(id, ({ type }) => type === "run.waiting");
    await engine.millrace.runs.cancel((await engine.millrace.runs.get(id)).steps.inner!.waitingFor!.run!);
    expect(await engine.ended(id)).toMatchObject({ status: "failed", error: { code: "child_cancelled" } });
  });

  test("many children of one parent, each an item of a map", async () => {
    const many = workflow("many", { input: v.array(v.number()) }).map("each", {
      over: (list) => list,
      limit: 50,
      workflow: child,
      input: (n) => ({ n }),
    });
    await using engine = await engineUnderTest([many]);
    await engine.worker();
    const list = Array.from({ length: 300 }, (_, n) => n);
    expect(await engine.run(many, list)).toMatchObject({ status: "completed", output: list.map((n) => 2 * n) });
  });
});
