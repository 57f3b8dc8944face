import { DefinitionError } from "./errors.ts";
import { NAME_PATTERN } from "./ids.ts";

/** What a step does when it is its turn. All but `task`, `map` and `repeat` need no handler. */
export type StepKind = "task" | "map" | "repeat" | "sleep" | "wait" | "child";

export interface GraphStep {
  name: string;
  after: readonly string[];
  /** Absent for a task. */
  kind?: Exclude<StepKind, "task">;
  /** Whether it has a condition, and may be skipped because of it. */
  when?: true;
  /** Whether it passes a gate before it starts. */
  limits?: true;
  /** Whether what it has done can be undone. */
  undo?: true;
}

/** The shape of a workflow version, without its handlers: what is stored, drawn and decided on. */
export interface Graph {
  workflow: string;
  version: number;
  steps: readonly GraphStep[];
}

/** What a graph says of one of its steps, looked up once. */
export interface StepShape {
  readonly name: string;
  /** Its place in the graph, from 0. */
  readonly index: number;
  readonly kind: StepKind;
  readonly after: readonly string[];
  /** The steps that come right after it, by their place. */
  readonly next: readonly number[];
  /** Its place among the steps that have items, from 1; 0 if it has none. */
  readonly items: number;
  readonly limits: boolean;
  readonly undo: boolean;
}

export interface GraphShape {
  readonly steps: readonly StepShape[];
  readonly byName: ReadonlyMap<string, StepShape>;
  /** The steps that nothing comes after. The run completes with the last of them. */
  readonly ends: readonly string[];
  /** A chain of tasks without limits: nothing runs beside anything, nothing waits, is skipped or is undone, nothing is counted. */
  readonly plain: boolean;
}

const shapes = new WeakMap<Graph, GraphShape>();

/** A graph's steps with what follows from them. Kept for as long as the graph is. */
export function shapeOf(graph: Graph): GraphShape {
  let shape = shapes.get(graph);
  if (shape === undefined) {
    shape = makeShape(graph);
    shapes.set(graph, shape);
  }
  return shape;
}

function makeShape({ steps }: Graph): GraphShape {
  let withItems = 0;
  const shaped = steps.map(({ name, after, ...step }, index): StepShape => {
    const kind: StepKind = step.kind ?? "task";
    const items = kind === "map" || kind === "repeat" ? ++withItems : 0;
    const next = steps.flatMap((each, i) => (each.after.includes(name) ? [i] : []));
    return { name, index, kind, after, next, items, undo: step.undo === true, limits: step.limits === true };
  });
  const plain = shaped.every(
    ({ kind, after, next, index, undo, limits }) =>
      kind === "task" &&
      next.length <= 1 &&
      after.length === Math.min(index, 1) &&
      steps[index]!.when === undefined &&
      !undo &&
      !limits,
  );
  return {
    steps: shaped,
    byName: new Map(shaped.map((step) => [step.name, step])),
    ends: shaped.filter((step) => step.next.length === 0).map((step) => step.name),
    plain,
  };
}

/** The steps that can start when the run does. */
export function firstSteps(graph: Graph): string[] {
  return graph.steps.filter((step) => step.after.length === 0).map((step) => step.name);
}

/** @throws DefinitionError for what cannot stand in keys, and for the one name that no plain object can hold */
export function checkName(where: string, name: unknown): void {
  if (typeof name !== "string" || !NAME_PATTERN.test(name) || name === "__proto__")
    throw new DefinitionError(`${where}: a name is 1 to 48 of A-Z a-z 0-9 _ - and not "__proto__"`);
}

/**
 * Checks that every step comes after steps that there are, and that none comes after itself.
 *
 * @throws DefinitionError naming the steps
 */
export function checkGraph({ workflow, steps }: Graph): void {
  const where = `Workflow ${JSON.stringify(workflow)}`;
  const names = new Set<string>();
  for (const { name } of steps) {
    checkName(`${where}: step ${JSON.stringify(name)}`, name);
    if (names.has(name)) throw new DefinitionError(`${where} has two steps named ${JSON.stringify(name)}`);
    names.add(name);
  }
  for (const { name, after } of steps) {
    const step = `${where}: step ${JSON.stringify(name)}`;
    for (const [i, before] of after.entries()) {
      if (!names.has(before))
        throw new DefinitionError(`${step} comes after ${JSON.stringify(before)}, which is no step`);
      if (after.indexOf(before) < i)
        throw new DefinitionError(`${step} names ${JSON.stringify(before)} twice in after`);
    }
  }
  // Steps whose befores have all been taken away are taken away in turn; what is left goes in circles.
  let left = [...steps];
  for (let taken = true; taken; ) {
    const open = new Set(left.map((step) => step.name));
    const rest = left.filter((step) => step.after.some((before) => open.has(before)));
    taken = rest.length < left.length;
    left = rest;
  }
  if (left.length > 0) throw new DefinitionError(`${where} goes in circles: ${circle(left).join(" → ")}`);
}

/** One way round, of steps that each come after another of them. */
function circle(steps: readonly GraphStep[]): string[] {
  const path: GraphStep[] = [steps[0]!];
  for (;;) {
    const before = steps.find((step) => path[0]!.after.includes(step.name))!;
    const seen = path.indexOf(before);
    if (seen >= 0) return [before, ...path.slice(0, seen + 1)].map((step) => step.name);
    path.unshift(before);
  }
}

/** The fields of a run that hold what a step comes after: outputs, or the run's input. */
export function inputFields(graph: Graph, name: string): string[] {
  const after = shapeOf(graph).byName.get(name)?.after ?? [];
  return after.length === 0 ? ["input"] : after.map((each) => `output:${each}`);
}

/** `name@version`: what runs, streams and workers say to mean one version of a workflow. */
export function workflowVersion(graph: { workflow: string; version: number | string }): string {
  return `${graph.workflow}@${graph.version}`;
}

/** The field of a step in the hash that counts its waiting timer rows. */
export function delayedField(graph: { workflow: string; version: number | string }, step: string): string {
  return `${workflowVersion(graph)}:${step}`;
}
