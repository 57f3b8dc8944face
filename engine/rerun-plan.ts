import { type Graph, shapeOf } from "./graph.ts";

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
 * @param statusOf what had become of a step
 */
export function rerunPlan(graph: Graph, from: string, statusOf: (step: string) => string): RerunPlan {
  const isSettled = (step: string) => ["completed", "skipped"].includes(statusOf(step));
  const anew = reach(from, (name) => graph.steps.filter(({ after }) => after.includes(name)).map((step) => step.name));
  const before = reach(from, (name) => graph.steps.find((step) => step.name === name)?.after ?? []);
  const keep = graph.steps.map(({ name }) => name).filter((name) => !anew.has(name) && isSettled(name));
  const start = graph.steps.filter(
    ({ name, after }) => !keep.includes(name) && after.every((each) => keep.includes(each)),
  );
  const missing = [...before].filter((name) => name !== from && !keep.includes(name));
  const { after } = graph.steps.find((step) => step.name === from) ?? { after: [] };
  // Of what was skipped there is nothing to begin with.
  if (missing.length === 0 && after.length > 0 && after.every((name) => statusOf(name) === "skipped"))
    missing.push(...after);
  return { keep, start: start.map(({ name }) => name), missing };
}

/** What the run counts of steps that are kept, by field: as if they had just ended. Nothing in a chain of tasks. */
export function keptCounts(
  graph: Graph,
  { keep, start }: RerunPlan,
  statusOf: (step: string) => string,
): Record<string, string> {
  const { plain, steps, ends } = shapeOf(graph);
  if (plain) return {};
  const counts: Record<string, string> = { active: `${start.length}` };
  for (const { name, after } of steps) {
    const came = after.filter((each) => keep.includes(each));
    if (after.length < 2 || came.length === 0 || keep.includes(name)) continue;
    counts[`join:${name}`] = `${came.length} ${came.filter((each) => statusOf(each) === "completed").length}`;
  }
  const ended = ends.filter((name) => keep.includes(name)).length;
  if (ended > 0) counts.ends = `${ended}`;
  return counts;
}

/** A step, and all that can be reached from it. */
function reach(from: string, next: (name: string) => readonly string[]): Set<string> {
  const found = new Set([from]);
  // What is added while a set is walked through is walked through as well.
  for (const name of found) for (const each of next(name)) found.add(each);
  return found;
}
