import { any } from "valibot";
import { expect, expectTypeOf, test } from "vitest";
import { Asks } from "../../engine/asks.ts";
import type { StepStream } from "../../engine/entry.ts";
import {
  type Millrace,
  type Pausable,
  PRIORITIES,
  type Priority,
  type StartOptions,
  workflow,
} from "../../engine/index.ts";
import { NamespaceKeys } from "../../engine/keys.ts";

const flow = workflow("flow", { input: any() })
  .step("free", () => 1)
  .step("limited", { concurrency: 2, run: () => 2 });
const keys = new NamespaceKeys("asks").partition(0);
const streams: StepStream[] = flow.steps.flatMap((step) =>
  PRIORITIES.map((lane) => ({ keys, graph: flow.graph, step, lane, key: `${step.name}:${lane}` })),
);
const slots = (free: number) => ({
  free: () => free,
  freeOf: ({ step }: StepStream) => Math.min(free, step.concurrency ?? free),
});

test("never more is asked than there are slots, in all or of a step, over all its lanes", () => {
  const asks = new Asks(streams);
  for (let free = 0; free < 30; free += 1) {
    const asked = asks.of(slots(free), streams);
    const sum = (wanted: [StepStream, number][]) => wanted.reduce((all, [, n]) => all + n, 0);
    expect(sum(asked)).toBe(free);
    expect(sum(asked.filter(([{ step }]) => step.name === "limited"))).toBeLessThanOrEqual(2);
    for (const [stream, n] of asked) asks.gave(stream, n, n);
  }
});

test("what is not to be asked is not, and leaves its slots to the others", () => {
  const asks = new Asks(streams);
  const low = streams.filter(({ lane }) => lane === "low");
  expect(asks.of(slots(10), low).map(([{ key }, n]) => [key, n])).toEqual([
    ["free:low", 8],
    ["limited:low", 2],
  ]);
  expect(asks.of(slots(10), [])).toEqual([]);
});

test("the types of priorities and of what can be paused", () => {
  expectTypeOf<Priority>().toEqualTypeOf<"high" | "normal" | "low">();
  expectTypeOf<StartOptions["priority"]>().toEqualTypeOf<Priority | undefined>();
  expectTypeOf<{ workflow: string; step: string }>().toExtend<Pausable>();
  expectTypeOf<{ tenant: string }>().toExtend<Pausable>();
  expectTypeOf<{ step: string }>().not.toExtend<Pausable>();
  expectTypeOf<Millrace["pause"]>().parameters.toEqualTypeOf<[what: Pausable]>();
});
