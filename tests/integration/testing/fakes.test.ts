import * as v from "valibot";
import { describe, expect, expectTypeOf, test } from "vitest";
import { type AnyWorkflow, FatalError, type StepContext, workflow } from "../../../engine/index.ts";
import { type EndedRun, testKit } from "../../../engine/testing/index.ts";
import { kitOptions } from "../../support/kit.ts";

let loaded = 0;
const order = workflow("order", { input: v.object({ item: v.string(), amount: v.number() }) })
  .step("price", ({ item, amount }) => ({ item, cents: amount * 250 }))
  .step("charge", {
    retry: { attempts: 4, baseMs: 3_600_000, maxMs: 3_600_000 },
    load: async () => {
      loaded += 1;
      return { default: ({ cents }: { item: string; cents: number }) => `paid ${cents}` };
    },
  })
  .step("thank", (receipt) => `Thank you: ${receipt}.`);

const input = { item: "tea", amount: 2 };

describe("a fake", () => {
  test("takes a step's place, whose handler is not even loaded, and keeps its calls", async () => {
    loaded = 0;
    await using kit = await testKit([order], kitOptions());
    const charge = kit.fake(order, "charge", ({ cents }, ctx) => {
      expectTypeOf(cents).toEqualTypeOf<number>();
      expectTypeOf(ctx).toEqualTypeOf<StepContext>();
      return `fake ${cents}`;
    });
    const run = await kit.run(order, input);
    expect(run).toMatchObject({
      status: "completed",
      output: "Thank you: fake 500.",
      steps: { charge: { attempt: 1 } },
    });
    expect(charge.calls).toEqual([{ run: run.id, attempt: 1, input: { item: "tea", cents: 500 } }]);
    expectTypeOf(charge.calls[0]!.input).toEqualTypeOf<{ item: string; cents: number }>();
    expect([charge.count, loaded]).toEqual([1, 0]);
  });

  test("may be simply an output; a later one replaces it, and without one the step is its own again", async () => {
    await using kit = await testKit([order], kitOptions());
    const [first, second] = [kit.fake(order, "charge", "one"), kit.fake(order, "charge", async () => "two")];
    expect((await kit.run(order, input)).output).toBe("Thank you: two.");
    first.restore();
    expect((await kit.run(order, input)).output).toBe("Thank you: two.");
    second.restore();
    second.restore();
    expect((await kit.run(order, input)).output).toBe("Thank you: paid 500.");
    expect([first.count, second.count]).toEqual([0, 2]);
  });

  test("that throws fails as a handler does", async () => {
    await using kit = await testKit([order], kitOptions());
    kit.fake(order, "price", () => {
      throw new FatalError("No such item.");
    });
    const run = await kit.run(order, input);
    expect(run).toMatchObject({ status: "failed", error: { name: "FatalError", message: "No such item." } });
    expect(run.output).toBeUndefined();
    const { data } = await kit.millrace.deadLetters.list();
    expect(data).toMatchObject([{ run: run.id, step: "price" }]);
  });
});

describe("a failure", () => {
  test("of the third attempt leaves the others as they are", async () => {
    await using kit = await testKit([order], kitOptions());
    const others = kit.fail(order, "charge", { attempts: [1, 2], error: new Error("The bank is closed.") });
    const third = kit.fail(order, "charge", { attempts: [3] });
    const run = await kit.run(order, input);
    expect(run).toMatchObject({
      status: "completed",
      output: "Thank you: paid 500.",
      steps: { charge: { attempt: 4 } },
    });
    const told = (await kit.events(run.id)).filter(({ type }) => type === "step.retrying");
    expect(told.map(({ data }) => (data as { error: { message: string } }).error.message)).toEqual([
      "The bank is closed.",
      "The bank is closed.",
      "Attempt 3 of order@1:charge was made to fail.",
    ]);
    expect([others.calls.map(({ attempt }) => attempt), third.count]).toEqual([[1, 2], 1]);
  });

  test("of the last attempt is a dead letter, and the run goes on once that is replayed", async () => {
    await using kit = await testKit([order], kitOptions());
    const failing = kit.fail(order, "charge", { attempts: (attempt, { cents }) => new Error(`${attempt}: ${cents}`) });
    const run = await kit.run(order, input);
    expect(run).toMatchObject({ status: "failed", error: { message: "4: 500" } });
    failing.restore();
    const { data } = await kit.millrace.deadLetters.list();
    await kit.millrace.deadLetters.replay(data[0]!.id);
    expect(await kit.ended(run.id)).toMatchObject({ status: "completed", output: "Thank you: paid 500." });
  });

  test("by a function of the attempt lets be what it says nothing of, and goes before a fake", async () => {
    await using kit = await testKit([order], kitOptions());
    const charge = kit.fake(order, "charge", "faked");
    kit.fail(order, "charge", { attempts: (attempt) => (attempt === 1 ? new Error("no") : undefined) });
    const run = await kit.run(order, input);
    expect(run).toMatchObject({ output: "Thank you: faked.", steps: { charge: { attempt: 2 } } });
    expect(charge.calls.map(({ attempt }) => attempt)).toEqual([2]);
  });
});

describe("what cannot be faked is refused", () => {
  test("a step, a workflow and attempts that there are not", async () => {
    const other = workflow("other", { input: v.null() }).step("only", () => 1);
    await using kit = await testKit([order], kitOptions());
    // @ts-expect-error: there is no such step
    expect(() => kit.fake(order, "pack", 1)).toThrow('There is no step in workflow order@1 "pack".');
    expect(() => kit.fake(other, "only", 1)).toThrow('There is no workflow "other@1".');
    for (const attempts of [[], [0], [1.5], "all", undefined])
      expect(() => kit.fail(order, "charge", { attempts: attempts as number[] })).toThrow(
        "order@1:charge: attempts are whole numbers from 1, one or more",
      );
    await expect(kit.start(other, null)).rejects.toMatchObject({ code: "not_found" });
    await expect(kit.start(order, { item: 1 })).rejects.toMatchObject({ code: "invalid_input" });
    await expect(kit.ended("nothing")).rejects.toMatchObject({ code: "not_found" });
  });

  test("by the types, where they are known", async () => {
    await using kit = await testKit([order], kitOptions());
    // @ts-expect-error: the step returns text
    kit.fake(order, "charge", 1);
    // @ts-expect-error: the step returns text
    kit.fake(order, "charge", () => 1);
    // @ts-expect-error: the step is given cents
    kit.fake(order, "charge", (given: { euros: number }) => String(given.euros));
    const untyped: AnyWorkflow = order;
    expectTypeOf(kit.fake(untyped, "charge", 1).calls)
      .items.toHaveProperty("input")
      .toBeUnknown();
    const run = (await kit.run(order, input)) satisfies EndedRun<typeof order>;
    expectTypeOf(run.input).toEqualTypeOf<{ item: string; amount: number }>();
    expectTypeOf(run.output).toEqualTypeOf<string | undefined>();
    expectTypeOf(run.steps.price.output).toEqualTypeOf<{ item: string; cents: number } | undefined>();
    // @ts-expect-error: there is no such step
    run.steps.pack;
    expectTypeOf(
      (await kit.ended("0190b0a1f0007000800000000000000a-0").catch(() => run)).output,
    ).toEqualTypeOf<unknown>();
  });
});
