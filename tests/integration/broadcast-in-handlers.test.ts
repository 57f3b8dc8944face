import { any } from "valibot";
import { describe, expect, test } from "vitest";
import { connect, workflow } from "../../engine/index.ts";
import { engineUnderTest } from "../support/engine-under-test.ts";
import { Gates } from "../support/gates.ts";
import { redisUrl } from "../support/redis.ts";

describe("a handler", () => {
  const gates = new Gates();
  const watching = workflow("watching", { input: any() }).step("watch", async (_, ctx) => {
    const before = [ctx.config.get("a"), ctx.config.flag("f")];
    const changed = ctx.config.get("gate");
    await gates.pass(`${changed}`, ctx.signal);
    return [before, [ctx.config.get("a"), ctx.config.flag("f")]];
  });

  test("reads it as it is now, also while it runs", async () => {
    await using engine = await engineUnderTest([watching]);
    const { config } = engine.millrace;
    await config.set("a", 1);
    await config.set("gate", "one");
    await engine.worker();
    const { id } = await engine.millrace.runs.start(watching, null);
    await engine.until(id, ({ type }) => type === "step.started");
    await config.set("a", 2);
    await config.set("f", { percent: 100 });
    gates.open("one");
    expect((await engine.ended(id)).output).toEqual([
      [1, false],
      [2, true],
    ]);
  });

  test("has a share of its runs take part, the same in every attempt", async () => {
    const shared = workflow("shared", { input: any() }).step("ask", {
      retry: { baseMs: 0, maxMs: 0 },
      run: (earlier, ctx) => {
        const on = ctx.config.flag("half");
        seen.set(ctx.run.id, [...(seen.get(ctx.run.id) ?? []), on]);
        if (ctx.attempt === 1) throw new Error("again");
        return earlier;
      },
    });
    const seen = new Map<string, boolean[]>();
    await using engine = await engineUnderTest([shared]);
    await engine.millrace.config.set("half", { percent: 50 });
    await engine.worker();
    await Promise.all(Array.from({ length: 40 }, () => engine.run(shared, 1)));
    expect(seen.size).toBe(40);
    for (const [first, second] of seen.values()) expect(second).toBe(first);
    expect(new Set([...seen.values()].map(([on]) => on))).toEqual(new Set([true, false]));
  });

  test("remembers results until their subject or topic is invalidated, from any process", async () => {
    let made = 0;
    const caching = workflow("caching", { input: any() }).step("ask", async (model: string, ctx) => {
      const result = ctx.cached<number>("models", model, "prompt");
      if (result.value !== undefined) return result.value;
      made += 1;
      if (made === 4) {
        ctx.emit({ asked: true });
        await gates.pass("asked", ctx.signal);
      }
      result.keep(made);
      return made;
    });
    await using engine = await engineUnderTest([caching]);
    await engine.worker();
    const other = await connect({ url: redisUrl, namespace: engine.namespace, workflows: [] });
    const ask = async (model: string) => (await engine.run(caching, model)).output;
    const invalidated = (subject: string | undefined) =>
      new Promise<void>((resolve) => {
        const stop = engine.millrace.onInvalidate("models", () => {
          stop();
          resolve();
        });
        void other.invalidate("models", subject);
      });
    expect([await ask("a"), await ask("b"), await ask("a"), await ask("b")]).toEqual([1, 2, 1, 2]);
    await invalidated("a");
    expect([await ask("b"), await ask("a")]).toEqual([2, 3]);
    await invalidated(undefined);

    // What was asked for before the topic was dropped may be of before, and is not remembered.
    const { id } = await engine.millrace.runs.start(caching, "a");
    await engine.until(id, ({ type }) => type === "step.output");
    await invalidated("a");
    gates.open("asked");
    expect((await engine.ended(id)).output).toBe(4);
    expect([await ask("a"), await ask("b"), await ask("a")]).toEqual([5, 6, 5]);
    await other.close();
  });
});
