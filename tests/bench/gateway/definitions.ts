import * as v from "valibot";
import { workflow } from "../../../engine/index.ts";

/** Emits so many events a second, for so many seconds, each by itself. */
export const talk = workflow("talk", { input: v.object({ each: v.number(), seconds: v.number() }) }).step(
  "talk",
  ({ each, seconds }, ctx) => paced(each, seconds, (n) => ctx.emit({ n })),
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
export const work = workflow("work", { input: v.object({ n: v.number() }) })
  .step("one", ({ n }) => later(n))
  .step("two", later)
  .step("three", later);

async function later(n: number): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, 100));
  return n;
}
