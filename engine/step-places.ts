import { wakeRow } from "./commit-args.ts";
import type { Entry, StepStream } from "./entry.ts";
import { type Graph, shapeOf } from "./graph.ts";
import type { PartitionKeys } from "./keys.ts";
import type { Step } from "./step.ts";
import { encodeTimerRow, parseTimerRow } from "./timer-rows.ts";
import type { Priority } from "./views.ts";

/** Which dead letter: its id, and the entry in it; its run, and the step and the tenant of that. */
export interface DeadLetterPlace {
  id: string;
  run: string;
  entry: string;
  graph: Graph;
  tenant: string;
  step: string;
  /** Whether it is of the step's undo, and not of the step itself. */
  undo?: boolean;
  /** The run's lane; default normal. */
  lane?: Priority;
}

/** What a worker reads of a step in a lane: its stream, and with limits that of what has passed its gate. */
export function streamsOf(keys: PartitionKeys, graph: Graph, step: Step, lane: Priority): StepStream[] {
  const key = keys.step(graph, step.name, lane);
  if (step.limits === undefined) return [{ keys, graph, step, lane, key }];
  return [
    { keys, graph, step, lane, key, gate: "before" },
    { keys, graph, step, lane, key: keys.slots(graph, step.name, lane), gate: "passed" },
  ];
}

/** Where the steps of a run are, as the scripts that end a run and let it go on again want it: keys and names. */
export function stepPlaces(
  keys: PartitionKeys,
  run: string,
  graph: Graph,
  lane: Priority,
): { keys: string[]; args: string[] } {
  const steps = shapeOf(graph).steps.map((step) => ({ ...step, hasItems: step.items > 0 }));
  return {
    keys: steps.flatMap(({ name, hasItems }) => [
      keys.step(graph, name, lane),
      hasItems ? keys.items(run, name) : keys.run(run),
    ]),
    args: steps.flatMap(({ name, hasItems, undo }) => [name, `${hasItems ? "items" : ""}${undo ? " undo" : ""}`]),
  };
}

/** What a child run remembers of the step that waits for it: a timer row up to its last part, which is the child. */
export function parentOf(entry: Entry, detached: boolean): string {
  return encodeTimerRow(wakeRow(detached ? "detached" : "child", entry, "")).slice("wake|".length, -"|".length);
}

/** Where the step, or the item, is that waits for a child run, as that remembers it; undefined for no child. */
export function parentPlace(
  keys: PartitionKeys,
  parent: string | undefined,
): { run: string; holder: string; record: string } | undefined {
  const row = parent === undefined ? undefined : parseTimerRow(`wake|${parent}|`);
  if (row?.kind !== "wake") return undefined;
  const { run, step, item } = row;
  return item === ""
    ? { run: keys.run(run), holder: keys.run(run), record: `step:${step}` }
    : { run: keys.run(run), holder: keys.items(run, step), record: item };
}

/** Where the script that starts a child run finds what is to wait for it, and where it remembers the child. */
export function waitingFor(keys: PartitionKeys, entry: Entry, detached: boolean): { keys: string[]; args: string[] } {
  const { run, item, stream } = entry;
  const { name } = stream.step;
  const [holder, record, child] =
    item === undefined
      ? [keys.run(run), `step:${name}`, `child:${name}`]
      : [keys.items(run, name), `${item}`, `c${item}`];
  return { keys: [keys.run(run), holder], args: [entry.id, record, detached ? "" : child] };
}
