import * as v from "valibot";
import { workflow } from "../../engine/index.ts";

/** Three steps, each adding one. */
export const counting = workflow("counting", { input: v.object({ n: v.number() }) })
  .step("one", ({ n }) => ({ n: n + 1 }))
  .step("two", ({ n }) => ({ n: n + 1 }))
  .step("three", ({ n }) => n + 1);
