import * as v from "valibot";
import { expect, test } from "vitest";
import { workflow } from "../../../engine/index.ts";
import { testKit } from "../../../engine/testing/index.ts";
import { kitOptions } from "../../support/kit.ts";

const DAY_MS = 86_400_000;
const order = workflow("order", { input: v.string() }).step("take", (name) => name);
const events = ["run.completed"] as const;

test("an event that a handler fails with is handed over again by the kit's clock, and dies by it", async () => {
  await using kit = await testKit([order], kitOptions());
  const seen: number[] = [];
  const retry = { attempts: 3, baseMs: DAY_MS, maxMs: DAY_MS, backoff: "fixed", jitter: "none" } as const;
  await kit.millrace.subscribe({ group: "billing", events: [...events], retry }, (_, { attempt }) => {
    seen.push(attempt);
    throw new Error("The till is closed.");
  });
  const before = (await kit.clock.now()).getTime();
  await kit.run(order, "tea");
  await kit.clock.settle();
  expect(seen).toEqual([1]);
  await kit.clock.advance("23 hours");
  expect(seen).toEqual([1]);
  await kit.clock.advance("2 hours");
  expect(seen).toEqual([1, 2]);
  await kit.clock.runUntilIdle();
  expect(seen).toEqual([1, 2, 3]);
  expect((await kit.clock.now()).getTime()).toBeGreaterThanOrEqual(before + 2 * DAY_MS);
  expect((await kit.millrace.subscriptions.deadLetters("billing")).data).toMatchObject([{ attempts: 3 }]);
});

test("nothing rests while a handler has an event in hand, and what does not rest is named", async () => {
  await using kit = await testKit([order], { ...kitOptions(), timeoutMs: 300 });
  const open = Promise.withResolvers<void>();
  await kit.millrace.subscribe({ group: "billing", events: [...events] }, () => open.promise);
  // Of a group that nobody serves here nothing is waited for.
  await kit.millrace.subscriptions.create({ group: "elsewhere", events: [...events] });
  const run = await kit.run(order, "tea");
  expect(run.output).toBe("tea");
  const left = { code: "not_at_rest", message: expect.stringMatching(/queued or at work: subscription billing\.$/) };
  await expect(kit.clock.settle()).rejects.toMatchObject(left);
  open.resolve();
  await kit.clock.settle();
  expect(await kit.millrace.subscriptions.get("billing")).toMatchObject({ waiting: 0, inHand: 0 });
  expect(await kit.millrace.subscriptions.get("elsewhere")).toMatchObject({ waiting: 1 });
});
