import { type Graph, shapeOf } from "./graph.ts";
import type { PartitionKeys } from "./keys.ts";
import { PRIORITIES } from "./views.ts";

/** The keys of a step's gate, in the order in which scripts have them. */
export function gateKeys(
  keys: PartitionKeys,
  graph: { workflow: string; version: number | string },
  step: string,
): string[] {
  const made = [keys.gate(graph, step), keys.gateWaiting(graph, step), keys.gateHeld(graph, step)];
  return [...made, keys.gateTurns(graph, step), ...PRIORITIES.map((lane) => keys.slots(graph, step, lane))];
}

/** The types of those, a letter each. */
export const GATE_KINDS = "hzzzsss";

/** The gates of a graph's steps: their keys, and which steps have one, from 1. */
export function gatePlaces(keys: PartitionKeys, graph: Graph): { keys: string[]; args: string[] } {
  const steps = shapeOf(graph).steps.filter((step) => step.limits);
  return {
    keys: steps.flatMap(({ name }) => gateKeys(keys, graph, name)),
    args: steps.map(({ index }) => `${index + 1}`),
  };
}
