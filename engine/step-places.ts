import { wakeRow } from "./commit-args.ts";
import type { Entry, StepStream } from "./entry.ts";
import { type Graph, shapeOf } from "./graph.ts";
import type { PartitionKeys } from "./keys.ts";
import type { Step } from "./step.ts";
import { encodeTimerRow } from "./timer-rows.ts";

/** What a worker reads of a step: its stream, and with limits that of what has passed its gate. */
export function streamsOf(keys: PartitionKeys, graph: Graph, step: Step): StepStream[] {
  const key = keys.step(graph, step.name);
  if (step.limits === undefined) return [{ graph, step, key }];
  return [
    { graph, step, key, gate: "before" },
    { graph, step, key: keys.slots(graph, step.name), gate: "passed" },
  ];
}

/** Where the steps of a run are, as the scripts that end a run and let it go on again want it: keys and names. */
export function stepPlaces(keys: PartitionKeys, run: string, graph: Graph): { keys: string[]; args: string[] } {
  const steps = shapeOf(graph).steps.map((step) => ({ ...step, hasItems: step.items > 0 }));
  return {
    keys: steps.flatMap(({ name, hasItems }) => [
      keys.step(graph, name),
      hasItems ? keys.items(run, name) : keys.run(run),
    ]),
    args: steps.flatMap(({ name, hasItems }) => [name, hasItems ? "items" : ""]),
  };
}

/** What a child run remembers of the step that waits for it: a timer row up to its last part, which is the child. */
export function parentOf(entry: Entry, detached: boolean): string {
  return encodeTimerRow(wakeRow(detached ? "detached" : "child", entry, "")).slice("wake|".length, -"|".length);
}
