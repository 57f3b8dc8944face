import * as v from "valibot";
import { describe, expect, test } from "vitest";
import { FatalError, workflow } from "../../../engine/index.ts";
import { engineUnderTest } from "../../support/engine-under-test.ts";

const input = v.array(v.number());

describe("a map", () => {
  const squares = workflow("squares", { input })
    .map("square", { over: (list) => list, limit: 4, run: (n, ctx) => ({ n: n * n, item: ctx.item }) })
    .step("sum", (results) => results.reduce((sum, { n }) => sum + n, 0));

  test("has a result for each element, in order", async () => {
    await using engine = await engineUnderTest([squares]);
    await engine.worker();
    const list = Array.from({ length: 250 }, (_, i) => i);
    const run = await engine.run(squares, list);
    expect(run).toMatchObject({ status: "completed", output: list.reduce((sum, n) => sum + n * n, 0) });
    expect(run.steps.square).toMatchObject({ status: "completed", items: { total: 250, done: 250, failed: 0 } });
    const { data, next } = await engine.millrace.runs.items(run.id, "square", { limit: 100, cursor: "100" });
    expect(data[0]).toEqual({ item: 100, status: "completed", output: { n: 10_000, item: 100 } });
    expect(next).toBe("200");
  });

  test("of nothing is an empty list", async () => {
    await using engine = await engineUnderTest([squares]);
    await engine.worker();
    expect(await engine.run(squares, [])).toMatchObject({
      status: "completed",
      output: 0,
      steps: { square: { output: [] } },
    });
  });

  test("runs no more at once than its limit", async () => {
    let running = 0;
    let most = 0;
    const limited = workflow("limited", { input }).map("item", {
      over: (list) => list,
      limit: 3,
      run: async (n) => {
        most = Math.max(most, ++running);
        await new Promise((resolve) => setTimeout(resolve, 5));
        running -= 1;
        return n;
      },
    });
    await using engine = await engineUnderTest([limited]);
    await engine.worker();
    const list = Array.from({ length: 30 }, (_, i) => i);
    expect(await engine.run(limited, list)).toMatchObject({ status: "completed", output: list });
    expect(most).toBe(3);
  });

  test("has as many at work as its limit says, though none of them ends", async () => {
    const all = Promise.withResolvers<void>();
    let here = 0;
    const meeting = workflow("meeting", { input }).map("item", {
      over: (list) => list,
      limit: 350,
      run: async (n) => {
        here += 1;
        if (here === 350) all.resolve();
        await all.promise;
        return n;
      },
    });
    await using engine = await engineUnderTest([meeting]);
    await engine.worker({ concurrency: 400 });
    const list = Array.from({ length: 350 }, (_, i) => i);
    expect(await engine.run(meeting, list)).toMatchObject({ status: "completed", output: list });
  });

  test("an item is tried again by itself; its failure for good is the run's, and a replay goes on from there", async () => {
    let broken = true;
    const attempts: number[] = [];
    const flaky = workflow("flaky", { input }).map("item", {
      over: (list) => list,
      retry: { attempts: 2, baseMs: 0, maxMs: 0 },
      run: (n, ctx) => {
        if (n === 5) attempts.push(ctx.attempt);
        if (n === 5 && broken) throw new Error("five");
        return n;
      },
    });
    await using engine = await engineUnderTest([flaky]);
    await engine.worker();
    const list = Array.from({ length: 20 }, (_, i) => i);
    const { id } = await engine.millrace.runs.start(flaky, list);
    expect(await engine.ended(id)).toMatchObject({ status: "failed", error: { message: "five" } });
    const { data } = await engine.millrace.deadLetters.list();
    expect(data).toMatchObject([{ run: id, step: "item", item: 5, attempt: 2 }]);
    const { seq, steps } = await engine.millrace.runs.get(id);
    expect(steps.item).toMatchObject({ status: "failed", items: { total: 20, failed: 1 } });
    broken = false;
    await engine.millrace.deadLetters.replay(data[0]!.id);
    await engine.events(id, seq);
    expect(await engine.millrace.runs.get(id)).toMatchObject({
      status: "completed",
      output: list,
      steps: { item: { items: { total: 20, done: 20, failed: 0 } } },
    });
    expect(attempts).toEqual([1, 2, 1]);
  });

  test("collects failures as results where it is told to", async () => {
    const collecting = workflow("collecting", { input }).map("item", {
      over: (list) => list,
      onItemFailure: "collect",
      run: (n) => {
        if (n % 2 === 1) throw new FatalError(`odd ${n}`);
        return n;
      },
    });
    await using engine = await engineUnderTest([collecting]);
    await engine.worker();
    const run = await engine.run(collecting, [0, 1, 2]);
    expect(run).toMatchObject({
      status: "completed",
      output: [
        { ok: true, output: 0 },
        { ok: false, error: { name: "FatalError", message: "odd 1", code: "fatal" } },
        { ok: true, output: 2 },
      ],
      steps: { item: { items: { total: 3, done: 2, failed: 1 } } },
    });
    expect((await engine.millrace.deadLetters.list()).data).toEqual([]);
  });

  test("its progress is the mean of its items'", async () => {
    const half = workflow("half", { input }).map("item", {
      over: (list) => list,
      run: async (n, ctx) => {
        ctx.progress(0.5, "half way");
        if (n === 1) await new Promise((resolve) => ctx.signal.addEventListener("abort", resolve));
        return n;
      },
    });
    await using engine = await engineUnderTest([half]);
    await engine.worker();
    const { id } = await engine.millrace.runs.start(half, [0, 1]);
    const told = await engine.until(
      id,
      ({ type, item, data }) =>
        type === "step.progress" && item === undefined && (data as { progress: number }).progress >= 0.25,
    );
    expect(told.step).toBe("item");
    await engine.until(id, ({ type, item }) => type === "step.progress" && item === 1);
    await engine.millrace.runs.cancel(id);
    const run = await engine.ended(id);
    expect(run).toMatchObject({ status: "cancelled", steps: { item: { status: "cancelled" } } });
  });

  test("its progress is shown as it is, however little of it was told", async () => {
    const last = Promise.withResolvers<void>();
    const most = workflow("most", { input }).map("item", {
      over: (list) => list,
      run: async (n) => {
        if (n === 9) await last.promise;
        return n;
      },
    });
    await using engine = await engineUnderTest([most]);
    await engine.worker();
    const { id } = await engine.millrace.runs.start(
      most,
      Array.from({ length: 10 }, (_, n) => n),
    );
    const ended = new Set<number | undefined>();
    await engine.until(id, ({ type, item }) => type === "step.completed" && ended.add(item).size === 9);
    expect((await engine.millrace.runs.get(id)).steps.item).toMatchObject({ progress: 0.9, items: { done: 9 } });
    last.resolve();
    expect(await engine.ended(id)).toMatchObject({ steps: { item: { progress: 1 } } });
  });

  test("what is no list is refused, for good", async () => {
    const wrong = workflow("wrong", { input }).map("item", { over: () => "abc" as never, run: () => 1 });
    await using engine = await engineUnderTest([wrong]);
    await engine.worker();
    expect(await engine.run(wrong, [])).toMatchObject({ status: "failed", error: { code: "not_a_list" } });
  });
});

describe("a loop", () => {
  const countdown = workflow("countdown", { input: v.object({ left: v.number(), seen: v.array(v.number()) }) }).repeat(
    "turn",
    {
      run: ({ left, seen }, ctx) => ({ left: left - 1, seen: [...seen, ctx.item ?? -1] }),
      until: ({ left }) => left === 0,
      max: 5,
    },
  );

  test("goes on with each turn's output until it is done, each turn an item", async () => {
    await using engine = await engineUnderTest([countdown]);
    await engine.worker();
    const run = await engine.run(countdown, { left: 3, seen: [] });
    expect(run).toMatchObject({ status: "completed", output: { left: 0, seen: [0, 1, 2] } });
    const events = await engine.events(run.id);
    expect(
      events.filter(({ type, item }) => type === "step.completed" && item !== undefined).map(({ item }) => item),
    ).toEqual([0, 1, 2]);
    expect((await engine.millrace.runs.items(run.id, "turn")).data).toHaveLength(3);
  });

  test("too many turns fail it", async () => {
    await using engine = await engineUnderTest([countdown]);
    await engine.worker();
    expect(await engine.run(countdown, { left: 9, seen: [] })).toMatchObject({
      status: "failed",
      error: { code: "too_many_turns" },
    });
  });
});
