import * as v from "valibot";
import { type AnyWorkflow, workflow } from "../../../engine/index.ts";
import { chainOf } from "../contenders/millrace.ts";

/** Until this process is told that all who are to hear it do. */
let go = (): void => {};
const told = new Promise<void>((resolve) => {
  go = resolve;
});

export { go };

/** Emits so many events a second, for so many seconds, each by itself. */
export const talk = workflow("talk", { input: v.object({ each: v.number(), seconds: v.number() }) }).step(
  "talk",
  ({ each, seconds }, ctx) => told.then(() => paced(each, seconds, (n) => ctx.emit({ n }))),
);

/** Calls `tell` so many times a second, for so many seconds, from some time within the first turn on. */
export async function paced(each: number, seconds: number, tell: (n: number) => void): Promise<void> {
  const count = Math.max(1, Math.round(each * seconds));
  const everyMs = (1_000 * seconds) / count;
  await new Promise((resolve) => setTimeout(resolve, Math.random() * everyMs));
  for (let n = 0; n < count; n += 1) {
    tell(n);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

/** Three steps that take a while, so that more is asked for than is done. */
const work = workflow("work", { input: v.object({ n: v.number() }) })
  .step("one", ({ n }) => later(n))
  .step("two", later)
  .step("three", later);

async function later(n: number): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, 100));
  return n;
}

const nothing = async (input: unknown) => input;

/** The chain by the name under which the gateway starts a run and waits for its end in one request. */
const waitedFor = workflow("inference", { input: v.any() })
  .step("one", nothing)
  .step("two", nothing)
  .step("three", nothing);

/** The time of this machine's processes, in ms. */
export const clockMs = () => Number(process.hrtime.bigint()) / 1e6;
/** The time of day, in ms, with fractions. */
const dayMs = () => performance.timeOrigin + performance.now();

/** Fails once; then tells when it was tried again. */
export const retried = workflow("retried", { input: v.any() }).step("flaky", {
  retry: { attempts: 2, baseMs: 30, backoff: "fixed", jitter: "none" },
  run: (_, ctx) => {
    if (ctx.attempt === 1) throw new Error("It fails the first time.");
    return dayMs();
  },
});

/** Waits for a signal, then tells when it went on. */
export const signalled = workflow("signalled", { input: v.any() })
  .waitFor("go", { schema: v.any() })
  .step("resumed", () => clockMs());

/** Three steps, of which the last fails if that is asked for. */
export const past = workflow("past", { input: v.object({ fails: v.boolean() }) })
  .step("one", async (input) => input)
  .step("two", async (input) => input)
  .step("three", {
    retry: { attempts: 1 },
    run: async ({ fails }) => {
      if (fails) throw new Error("It fails.");
    },
  });

let worked = 0;

/** How many runs of `limited` this process has worked on. */
export const workedOn = () => worked;

/** A step whose runs are limited by tenant, one at once of each. */
export const limited = workflow("limited", { input: v.object({ tenant: v.string() }) }).step("work", {
  limits: { key: ({ tenant }) => tenant, concurrency: 1 },
  run: async ({ tenant }) => {
    worked += 1;
    return tenant;
  },
});

/** Squares so many numbers, each an item. */
const squares = workflow("squares", { input: v.number() }).map("square", {
  over: (count) => Array.from({ length: count }, (_, n) => ({ n, text: `some words about ${n}` })),
  limit: 100,
  run: ({ n }) => n * n,
});

/** So many workflows of five steps. */
export function manyOf(count: number): AnyWorkflow[] {
  return Array.from({ length: count }, (_, n) =>
    ["two", "three", "four", "five"].reduce<AnyWorkflow>(
      (all, step) => (all as ReturnType<typeof oneStep>).step(step as "two", nothing),
      oneStep(n),
    ),
  );
}

const oneStep = (n: number) => workflow(`many-${n}`, { input: v.any() }).step("one", nothing);

/** What processes know: the workflows of these sets, `many` and a number among them. */
export function definitionsOf(set: string): AnyWorkflow[] {
  const [name, count = "1"] = set.split(":");
  if (name === "many") return manyOf(Number(count));
  const sets: Record<string, AnyWorkflow[]> = {
    gateway: [talk, work],
    events: [chainOf(), waitedFor, retried, signalled],
    past: [past],
    limited: [limited],
    squares: [squares],
  };
  return sets[name!]!;
}
