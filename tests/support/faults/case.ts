import type { Graph } from "../../../engine/graph.ts";
import { stepWords } from "../../../engine/run-record.ts";
import type { Effect, Journal } from "./journal.ts";
import type { World } from "./world.ts";

/** How often a step may be tried. */
export interface Policy {
  /** Failures of its handler, the last one included. */
  attempts: number;
  /** Deaths of its worker. */
  crashes: number;
  /** Whether groups were destroyed: what they had given is given again, with counts that begin anew, under the same fence. */
  groupsWereLost?: boolean;
}

export interface Violation {
  /** Of the nine. */
  rule: number;
  run?: string;
  what: string;
}

/** A run as Redis holds it, with what the journal says of it. */
export interface RunCase {
  id: string;
  /** `{NS:p}:` */
  prefix: string;
  fields: Record<string, string>;
  /** Undefined if no version of its workflow is known. */
  graph: Graph | undefined;
  log: { type: string; step?: string; item?: number; attempt?: number }[];
  effects: Effect[];
}

/** All that the invariants look at. */
export interface Case {
  world: World;
  runs: Map<string, RunCase>;
  journal: Journal;
  policy: Policy;
}

const ENDED = new Set(["completed", "failed", "cancelled"]);
const RUN_KEY = /^(\{[^{}]+:\d+\}:)run:([^:]+)$/;

export function caseOf(world: World, namespace: string, journal: Journal, policy: Policy): Case {
  const graphs = world.hashes.get(`{${namespace}}:graphs`) ?? {};
  const effects = Map.groupBy(journal.of("effect"), ({ run }) => run);
  const runs = new Map<string, RunCase>();
  for (const [key, fields] of world.hashes) {
    const [, prefix, id] = RUN_KEY.exec(key) ?? [];
    if (prefix === undefined || id === undefined) continue;
    const graph = graphs[`${fields.workflow}@${fields.version}`];
    runs.set(id, {
      ...{ id, prefix, fields },
      graph: graph === undefined ? undefined : (JSON.parse(graph) as Graph),
      log: (world.lists.get(`${prefix}log:${id}`) ?? []).map((line) => JSON.parse(line.slice(line.indexOf(" ") + 1))),
      effects: effects.get(id) ?? [],
    });
  }
  return { world, runs, journal, policy };
}

export function isEnded({ fields }: RunCase): boolean {
  return ENDED.has(fields.status ?? "");
}

/** The words of a step's record, with the counts that `stepWords` leaves out; undefined while it is pending. */
export function recordOf({ fields }: RunCase, step: string) {
  const record = fields[`step:${step}`];
  if (record === undefined) return undefined;
  const [, , failures, crashes] = record.split(" ");
  return { ...stepWords(record), failures: Number(failures), crashes: Number(crashes) };
}

/** Two JSON values that mean the same, whatever the order of their keys. */
export function isSame(a: unknown, b: unknown): boolean {
  return canonical(a) === canonical(b);
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_, each) =>
    typeof each === "object" && each !== null && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1)))
      : each,
  );
}
