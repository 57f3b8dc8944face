import type { Graph, GraphStep } from "./graph.ts";

/** How many differences a message names. */
const NAMED = 8;

/** What is different in the steps of a graph than in one of the same version that is stored, for people. */
export function graphDifference(stored: Graph, given: Graph): string {
  const found: string[] = [];
  for (const step of given.steps) {
    const before = stored.steps.find(({ name }) => name === step.name);
    if (before === undefined) found.push(`step ${quoted(step.name)} is new`);
    else found.push(...stepDifference(before, step));
  }
  for (const { name } of stored.steps)
    if (!given.steps.some((step) => step.name === name)) found.push(`step ${quoted(name)} is gone`);
  if (found.length === 0) found.push("the steps are in another order");
  const more = found.length - NAMED;
  return found.slice(0, NAMED).join("; ") + (more > 0 ? `; and ${more} more` : "");
}

/** What a step has or has not, with one and with none. */
const HAS = [
  ["when", "a condition", "condition"],
  ["limits", "limits", "limits"],
  ["undo", "an undo", "undo"],
] as const;

function stepDifference(before: GraphStep, step: GraphStep): string[] {
  const name = `step ${quoted(step.name)}`;
  const found: string[] = [];
  if (before.kind !== step.kind) found.push(`${name} is a ${step.kind ?? "task"}, and was a ${before.kind ?? "task"}`);
  if (before.after.join() !== step.after.join())
    found.push(`${name} comes after ${listed(step.after)}, and came after ${listed(before.after)}`);
  for (const [key, one, none] of HAS)
    if (before[key] !== step[key]) found.push(`${name} has ${step[key] ? `${one} now` : `no ${none} any more`}`);
  if (found.length === 0 && JSON.stringify(before) !== JSON.stringify(step)) found.push(`${name} is another`);
  return found;
}

function listed(names: readonly string[]): string {
  return names.length === 0 ? "nothing" : names.map(quoted).join(" and ");
}

function quoted(name: string): string {
  return JSON.stringify(name);
}
