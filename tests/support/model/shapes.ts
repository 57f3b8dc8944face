import { any } from "valibot";
import { type AnyWorkflow, workflow } from "../../../engine/index.ts";

/** Of a step with items: how many there are, how many are at work at once, and whether a failure is a result. */
export interface Items {
  total: number;
  limit: number;
  collects: boolean;
}

/** A workflow, and what its graph does not say. Its handlers are never called: the test says what they come to. */
export interface Shape {
  definition: AnyWorkflow;
  items: Record<string, Items>;
  /** Nothing runs beside anything and nothing waits, so how much is at work is not counted. */
  isChain?: true;
}

/** All times are multiples of this, so that what real time adds never makes a timer due that is not due in the model. */
export const UNIT_MS = 30_000;
export const ATTEMPTS = 3;
export const CRASHES = 3;
export const WAIT_MS = 4 * UNIT_MS;
export const NAP_MS = 2 * UNIT_MS;

const retry = { attempts: ATTEMPTS, baseMs: UNIT_MS, maxMs: UNIT_MS, backoff: "fixed", jitter: "none" } as const;
const task = { retry, crashes: CRASHES, run: () => null };
const input = any();

const chain = workflow("chain", { input }).step("a", task).step("b", task).step("c", task);

const diamond = workflow("diamond", { input })
  .step("start", task)
  .step("left", { ...task, after: ["start"] })
  .step("right", { ...task, after: ["start"], when: () => true })
  .step("more", { ...task, after: ["right"] })
  .step("join", { ...task, after: ["left", "more"] })
  .step("end", task);

const map = workflow("map", { input })
  .step("list", task)
  .map("each", { ...task, over: () => [], limit: 2 })
  .step("end", task);

const survey = workflow("survey", { input })
  .map("ask", { ...task, after: [], over: () => [], limit: 3, onItemFailure: "collect" })
  .step("beside", { ...task, after: [] })
  .step("end", { ...task, after: ["ask", "beside"] });

const waits = workflow("waits", { input })
  .step("start", task)
  .waitFor("wait", { after: ["start"], schema: any(), timeoutMs: WAIT_MS })
  .step("beside", { ...task, after: ["start"] })
  .sleep("nap", { after: ["beside"], for: NAP_MS })
  .step("end", { ...task, after: ["wait", "nap"] });

export const SHAPES: readonly Shape[] = [
  { definition: chain, items: {}, isChain: true },
  { definition: diamond, items: {} },
  { definition: map, items: { each: { total: 5, limit: 2, collects: false } } },
  { definition: survey, items: { ask: { total: 4, limit: 3, collects: true } } },
  { definition: waits, items: {} },
];
