import type { Graph } from "./graph.ts";

/** What a new run keeps of an ended one. */
export interface RerunPlan {
  /** Steps that stay as they are. */
  keep: string[];
  /** Steps that start at once. */
  start: string[];
  /** Steps that come before the one to begin from, and are not there to be kept. */
  missing: string[];
}

/**
 * Decides what is run anew when a run begins again from a step: that step and all that comes after it, and what had
 * not completed otherwise.
 *
 * @param isSettled whether a step had completed, or was skipped
 */
export function rerunPlan(graph: Graph, from: string, isSettled: (step: string) => boolean): RerunPlan {
  const anew = reach(from, (name) => graph.steps.filter(({ after }) => after.includes(name)).map((step) => step.name));
  const before = reach(from, (name) => graph.steps.find((step) => step.name === name)?.after ?? []);
  const keep = graph.steps.map(({ name }) => name).filter((name) => !anew.has(name) && isSettled(name));
  const start = graph.steps.filter(
    ({ name, after }) => !keep.includes(name) && after.every((each) => keep.includes(each)),
  );
  const missing = [...before].filter((name) => name !== from && !keep.includes(name));
  return { keep, start: start.map(({ name }) => name), missing };
}

/** A step, and all that can be reached from it. */
function reach(from: string, next: (name: string) => readonly string[]): Set<string> {
  const found = new Set([from]);
  // What is added while a set is walked through is walked through as well.
  for (const name of found) for (const each of next(name)) found.add(each);
  return found;
}
