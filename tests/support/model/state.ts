import type { GraphStep } from "../../../engine/graph.ts";
import type { Items, Shape } from "./shapes.ts";

export type StepStatus =
  | "pending"
  | "queued"
  | "running"
  | "waiting"
  | "retrying"
  | "completed"
  | "failed"
  | "cancelled"
  | "skipped";
export type RunStatus = "queued" | "running" | "waiting" | "completed" | "failed" | "cancelled";

/** What is in a step's stream: a step, or an item of it, that is queued or in somebody's hands. */
export interface ModelEntry {
  of: Standing;
  wake: string;
  failures: number;
  crashes: number;
  /** As Redis holds it; '' if it is to be read from the run. */
  input: string;
  pending?: { consumer: string; count: number; lapsed: boolean };
}

export interface ModelTimer {
  of: Standing;
  reason: string;
  due: number;
}

export interface ModelLetter {
  of: Standing;
  attempt: number;
  /** The step's place in its stream of entries, by which it is known. */
  entry: ModelEntry;
}

type Place = ModelEntry | ModelTimer | ModelLetter | "items" | undefined;

/** How a step of a run stands, or an item of it. */
export interface Standing {
  run: ModelRun;
  step: GraphStep;
  item?: number;
  status: StepStatus;
  attempt: number;
  failures: number;
  crashes: number;
  /** The last batch of events of the attempt that was stored. */
  batch: number;
  place: Place;
}

export interface ModelItems extends Items {
  begun: number;
  done: number;
  failed: number;
  live: Map<number, Standing>;
  outputs: Record<string, string>;
}

export interface ModelRun {
  id: string;
  shape: Shape;
  input: string;
  status: RunStatus;
  log: string[];
  steps: Map<string, Standing>;
  items: Map<string, ModelItems>;
  outputs: Record<string, string>;
  joins: Map<string, { ended: number; taken: number }>;
  /** By step the key of the signal that counts; '' once the time is over. */
  signalled: Map<string, string>;
  replays: number;
}

export const LIVE_RUN = new Set<string>(["queued", "running", "waiting"]);
const LIVE_STEP = new Set<string>(["queued", "running", "waiting", "retrying"]);
const AT_WORK = new Set<string>(["queued", "running", "retrying"]);

export const isLive = ({ status }: Standing) => LIVE_STEP.has(status);
export const atWork = (run: ModelRun) => [...run.steps.values()].filter(({ status }) => AT_WORK.has(status)).length;

export function standing(run: ModelRun, step: GraphStep, item?: number): Standing {
  const counts = { status: "pending" as const, attempt: 0, failures: 0, crashes: 0, batch: 0, place: undefined };
  return { run, step, ...(item === undefined ? {} : { item }), ...counts };
}

export function newRun(id: string, shape: Shape, input: string): ModelRun {
  const run: ModelRun = {
    ...{ id, shape, input, status: "queued", log: ["run.queued"], steps: new Map(), items: new Map() },
    ...{ outputs: {}, joins: new Map(), signalled: new Map(), replays: 0 },
  };
  for (const step of shape.definition.graph.steps) run.steps.set(step.name, standing(run, step));
  return run;
}

/** The stream of a step: those of one workflow share it. */
export const streamOf = ({ run, step }: Standing) => `${run.shape.definition.name}:${step.name}`;

/** A step, or an item of it, as the log names it. */
export const nameOf = ({ step, item }: Standing) => (item === undefined ? step.name : `${step.name}#${item}`);
