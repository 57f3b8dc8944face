import { type Graph, type GraphShape, type StepShape, shapeOf } from "./graph.ts";
import type { StepStatus } from "./views.ts";

/** What a step of a run that is to be moved has come to. A step that is pending has none. */
export interface MigratingStep {
  status: StepStatus;
  /** Where it is, if it is live: a stream entry, `timer:ROW`, `gate:TICKET` or `items`. */
  place: string;
  /** Whether it has expanded a list or gone through turns. */
  hadItems: boolean;
}
export type MigratingSteps = ReadonlyMap<string, MigratingStep>;

/** Where a run goes on: the steps that it is at, and the names of those whose outputs are given. */
export interface Destination {
  at: readonly string[];
  given: ReadonlySet<string>;
}

/** What is written of a run that is moved. Steps of the new version that are in none of these are pending. */
export interface MigrationPlan {
  /** Done, and stay as they are, but for an output that is given. */
  kept: string[];
  /** Done from now on: with the output that is given, or skipped. */
  settled: { step: string; status: "completed" | "skipped" }[];
  /** Live; `keeps` if it keeps the place that the step of that name has. */
  live: { step: string; keeps: boolean }[];
  /** `ENDED TAKEN` of each step that comes after several, where any of those is done. */
  joins: Map<string, string>;
  /** How many of the steps that nothing comes after are done, where there are several. */
  ends: number | undefined;
  /** How many steps are at work, where the graph is more than a chain of tasks. */
  active: number | undefined;
}

const LIVE = ["queued", "running", "waiting", "retrying"];
/** What a step that is moved can have been set to wait for. */
const MOVABLE = ["retry", "sleep", "timeout", "signal", "delay"];

export function isLive(step: MigratingStep | undefined): boolean {
  return step !== undefined && LIVE.includes(step.status);
}

/** Why a run cannot be moved now, if that is so: somebody works on it, or on what it waits for. */
export function busyReason(steps: MigratingSteps): string | undefined {
  for (const [name, step] of steps) {
    if (!isLive(step)) continue;
    const where = `step ${quoted(name)}`;
    if (step.place === "items") return `the items of ${where} are under way`;
    if (step.status === "running") return `${where} is in a worker's hands`;
    const reason = /^timer:wake\|([^|]+)\|/.exec(step.place)?.[1];
    if (reason === "child" || reason === "detached") return `${where} waits for a child run`;
    if (reason !== undefined && !MOVABLE.includes(reason)) return `${where} is ${reason}`;
  }
  return undefined;
}

/**
 * Where a run goes on if nobody says otherwise: at the steps of the same names.
 *
 * @returns why that does not go, as a text
 */
export function sameSteps(from: Graph, to: Graph, steps: MigratingSteps): Destination | string {
  const before = shapeOf(from);
  const after = shapeOf(to);
  for (const name of steps.keys()) {
    const was = before.byName.get(name)!;
    const is = after.byName.get(name);
    if (is === undefined) return `version ${to.version} has no step ${quoted(name)}`;
    if (is.kind !== was.kind)
      return `step ${quoted(name)} is a ${is.kind} in version ${to.version}, and was a ${was.kind}`;
    if (touched(was, steps) !== touched(is, steps))
      return `step ${quoted(name)} comes after other steps in version ${to.version}`;
  }
  return { at: [...steps].filter(([, step]) => isLive(step)).map(([name]) => name), given: new Set() };
}

/** Those of the steps before it that the run has come to; and whether it comes after any. */
function touched({ after }: StepShape, steps: MigratingSteps): string {
  return `${after.length > 0} ${after
    .filter((name) => steps.has(name))
    .sort()
    .join()}`;
}

/**
 * Decides what becomes of each step of the new version, and refuses what would leave the run where it can never end: what
 * is done, what is live and what is pending must be as if the run had come there by itself.
 *
 * @returns why it does not go, as a text
 */
export function planMigration(
  from: Graph,
  to: Graph,
  steps: MigratingSteps,
  { at, given }: Destination,
): MigrationPlan | string {
  const shape = shapeOf(to);
  const unknown = [...at, ...given].find((name) => !shape.byName.has(name));
  if (unknown !== undefined)
    return `version ${to.version} has no step ${quoted(unknown)}: it has ${to.steps.map(({ name }) => name).join(", ")}`;
  if (at.length === 0) return "at names no step";
  if (new Set(at).size < at.length) return "at names a step twice";

  const before = ancestors(shape, at);
  const both = at.find((name) => before.has(name));
  if (both !== undefined) return `a run cannot be at step ${quoted(both)} and at one that comes after it`;
  const done = settle(shape, steps, at, given, before);
  const refusal = check(shape, steps, at, given, done);
  if (refusal !== undefined) return refusal;

  const was = shapeOf(from);
  const keeps = (name: string) =>
    isLive(steps.get(name)) && was.byName.get(name)?.kind === shape.byName.get(name)!.kind;
  const live = at.map((step) => ({ step, keeps: keeps(step) }));
  const isKept = (name: string) => done.get(name) === steps.get(name)?.status;
  const waiting = live.filter(({ step, keeps: kept }) => kept && steps.get(step)!.status === "waiting").length;
  return {
    kept: [...done.keys()].filter(isKept),
    settled: [...done].filter(([name]) => !isKept(name)).map(([step, status]) => ({ step, status })),
    live,
    joins: joinsOf(shape, done),
    ends: shape.ends.length > 1 ? shape.ends.filter((name) => done.has(name)).length : undefined,
    active: shape.plain ? undefined : live.length - waiting,
  };
}

type Done = Map<string, "completed" | "skipped">;

/** What is done: all that comes before the steps that the run is at, and what it has done beside them. */
function settle(
  shape: GraphShape,
  steps: MigratingSteps,
  at: readonly string[],
  given: ReadonlySet<string>,
  before: ReadonlySet<string>,
): Done {
  const done: Done = new Map();
  const open = new Set(shape.byName.keys());
  // Each round settles what comes after what the last ones have: a graph has no circles, so that ends.
  for (let more = true; more; ) {
    more = false;
    for (const name of open) {
      const { after } = shape.byName.get(name)!;
      if (at.includes(name) || !after.every((each) => done.has(each))) continue;
      const status = steps.get(name)?.status;
      const isTaken = given.has(name) || status === "completed";
      const isLeft = after.length > 0 && after.every((each) => done.get(each) === "skipped");
      if (!isTaken && !before.has(name) && !isLeft && status !== "skipped") continue;
      done.set(name, isTaken ? "completed" : "skipped");
      open.delete(name);
      more = true;
    }
  }
  return done;
}

function check(
  shape: GraphShape,
  steps: MigratingSteps,
  at: readonly string[],
  given: ReadonlySet<string>,
  done: Done,
): string | undefined {
  const early = [...given].find((name) => !done.has(name));
  if (early !== undefined) return `outputs has step ${quoted(early)}, which does not come before those in at`;
  const stuck = shape.steps.find(
    ({ name, after }) => !done.has(name) && !at.includes(name) && after.every((each) => done.has(each)),
  );
  if (stuck !== undefined)
    return `step ${quoted(stuck.name)} would never begin, since nothing before it is left to be done: name it in at`;
  for (const name of at) {
    const { after, items } = shape.byName.get(name)!;
    if (after.length > 0 && !after.some((each) => done.get(each) === "completed"))
      return `step ${quoted(name)} has no input, since ${after.map(quoted).join(" and ")} has no output: give it in outputs`;
    if (items > 0 && steps.get(name)?.hadItems === true)
      return `the items of step ${quoted(name)} are done, and are not begun anew: name a step after it`;
  }
  // Those that may yet be come to, and have items of an earlier pass.
  const again = shape.steps.find(
    ({ name, items }) => items > 0 && !done.has(name) && steps.get(name)?.hadItems === true,
  );
  if (again !== undefined) return `the items of step ${quoted(again.name)} are done, and would be begun anew`;
  return undefined;
}

function joinsOf(shape: GraphShape, done: Done): Map<string, string> {
  const joins = new Map<string, string>();
  for (const { name, after } of shape.steps) {
    const ended = after.filter((each) => done.has(each));
    if (after.length < 2 || ended.length === 0) continue;
    joins.set(name, `${ended.length} ${ended.filter((each) => done.get(each) === "completed").length}`);
  }
  return joins;
}

function ancestors(shape: GraphShape, names: readonly string[]): Set<string> {
  const found = new Set<string>();
  const open = [...names];
  for (let name = open.pop(); name !== undefined; name = open.pop())
    for (const before of shape.byName.get(name)!.after) {
      if (found.has(before)) continue;
      found.add(before);
      open.push(before);
    }
  return found;
}

function quoted(name: string): string {
  return JSON.stringify(name);
}
