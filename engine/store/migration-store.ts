import { encodeEvent } from "../events.ts";
import { gateKeys } from "../gate-places.ts";
import { delayedField, type Graph, shapeOf, workflowVersion } from "../graph.ts";
import { isLive, type MigratingSteps, type MigrationPlan } from "../migration-plan.ts";
import { laneOf, type RunRecord } from "../run-record.ts";
import { migrate } from "../scripts/migrate.ts";
import type { Reply } from "../scripts/script.ts";
import type { Store } from "../store.ts";
import { encodeTimerRow, parseTimerRow } from "../timer-rows.ts";
import { limitRows } from "./start-terms.ts";

export interface Migration {
  /** As it was read: the run is moved only if it is so still. */
  record: RunRecord;
  from: Graph;
  to: Graph;
  steps: MigratingSteps;
  plan: MigrationPlan;
  /** Outputs that are given, and the input, as Redis holds values. */
  outputs: ReadonlyMap<string, string>;
  input: string | undefined;
}

type Arg = string | number;

/**
 * What a step leaves in the run's hash, beside its record. Of a map that is gone `items` stays: it tells where its items are,
 * for whoever deletes the run.
 */
const LEFTOVERS = ["input", "output", "progress", "error", "due"];
const SIGNAL_LEFTOVERS = ["signal", "signalled"];

/** Moves runs from one version to another. */
export class MigrationStore {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  async migrate(migration: Migration): Promise<Reply> {
    const { record, from, to, plan } = migration;
    const { id, fields } = record;
    const keys = this.#store.partitionKeys(id);
    const indexes = ["queued", "running", "waiting"].map((status) => keys.runsByStatus(fields.tenant!, status));
    const all = [keys.run(id), keys.log(id), keys.timers(), keys.delayed(), ...indexes];
    const stream = (graph: Graph, step: string): number => {
      const key = keys.step(graph, step, laneOf(fields));
      const known = all.indexOf(key);
      return known < 0 ? all.push(key) : known + 1;
    };
    const status = statusOnceMoved(migration);
    const moved = encodeEvent({ type: "run.queued", data: { version: to.version, from: from.version } });
    // The log says of a run what its record does: one that had begun goes on, one that only waits does that.
    const then =
      status === "queued" ? [] : [encodeEvent({ type: status === "waiting" ? "run.waiting" : "run.started" })];
    const { entries, rows, gates } = places(migration, stream);
    const args: Arg[] = [id, fields.status!, fields.version!, fields.tenant!, status, gates.length];
    for (const list of [readAs(migration), entries, rows, limits(id, from, to)]) args.push(list.length, ...list.flat());
    args.push(plan.live.length, ...plan.live.flatMap((live) => liveArgs(migration, live, stream)));
    const { settled, set, gone } = fieldArgs(migration);
    args.push(settled.length, ...settled.flat(), set.length, ...set.flat(), gone.length, ...gone);
    args.push(1 + then.length, moved, ...then);
    for (const step of gates) all.push(...gateKeys(keys, from, step));
    return (await this.#store.teller.run(migrate, keys, all, args)) as Reply;
  }
}

/** One that waited for a limit before it had started is queued again. */
function statusOnceMoved({ record: { fields }, plan, steps }: Migration): "queued" | "waiting" | "running" {
  if (fields.status === "queued") return "queued";
  if (plan.live.every(({ step, keeps }) => keeps && steps.get(step)!.status === "waiting")) return "waiting";
  return fields.unstarted === undefined ? "running" : "queued";
}

/** The records of every step that either version has. */
function readAs({ record, from, to }: Migration): [string, string][] {
  const names = new Set([...from.steps, ...to.steps].map(({ name }) => name));
  return [...names].map((name) => [`step:${name}`, record.fields[`step:${name}`] ?? ""]);
}

/** Where the live steps are: the entries and the timer rows; and which of the queued ones have a gate. */
function places({ from, steps }: Migration, stream: (graph: Graph, step: string) => number) {
  const entries: Arg[][] = [];
  const rows: Arg[][] = [];
  const gates: string[] = [];
  for (const [name, step] of steps) {
    if (!isLive(step)) continue;
    const row = rowOf(step.place);
    if (row !== undefined) {
      rows.push([row, delayedField(from, name)]);
      continue;
    }
    const gate = shapeOf(from).byName.get(name)!.limits ? gates.push(name) : "";
    entries.push([stream(from, name), step.place, gate, workflowVersion(from), name]);
  }
  return { entries, rows, gates };
}

/** The rows of the run's time to live and its deadline, and what they are from now on. */
function limits(run: string, from: Graph, to: Graph): string[][] {
  const moved = limitRows(run, to);
  return limitRows(run, from).map((row, i) => [row, moved[i]!]);
}

function liveArgs(
  { record, to, steps }: Migration,
  { step, keeps }: MigrationPlan["live"][number],
  stream: (graph: Graph, step: string) => number,
): Arg[] {
  const field = `step:${step}`;
  if (!keeps) return [field, "queued 0 0 0", "anew", stream(to, step), "- - 0"];
  const words = record.fields[field]!.split(" ");
  const [before, after] = [words.slice(0, 4).join(" "), words.slice(5).join(" ")];
  const { status, place } = steps.get(step)!;
  const row = rowOf(place);
  if (row === undefined)
    return [field, [status, ...words.slice(1, 4)].join(" "), "entry", stream(to, step), place, after];
  const parsed = parseTimerRow(row);
  if (parsed?.kind !== "wake") throw new Error(`the place of step ${step} in run ${record.id} is odd: ${place}`);
  const moved = encodeTimerRow({ ...parsed, version: `${to.version}` });
  return [field, before, "row", row, moved, delayedField(to, step), after];
}

function fieldArgs({ record, from, to, steps, plan, outputs, input }: Migration) {
  const settled = plan.settled.map(({ step, status }) => [`step:${step}`, status]);
  const set: [string, Arg][] = [["version", to.version]];
  if (input !== undefined) set.push(["input", input]);
  for (const [step, output] of outputs) set.push([`output:${step}`, output]);
  for (const [step, counts] of plan.joins) set.push([`join:${step}`, counts]);
  if (plan.ends !== undefined) set.push(["ends", plan.ends]);
  if (plan.active !== undefined) set.push(["active", plan.active]);

  const stays = new Set([...plan.kept, ...plan.live.filter(({ keeps }) => keeps).map(({ step }) => step)]);
  const has = new Set([...set.map(([field]) => field), ...settled.map(([field]) => field)]);
  for (const { step } of plan.live) has.add(`step:${step}`);
  const gone: string[] = [];
  const drop = (field: string) => {
    if (record.fields[field] !== undefined && !has.has(field)) gone.push(field);
  };
  for (const name of new Set([...from.steps, ...to.steps].map((step) => step.name))) {
    drop(`join:${name}`);
    if (stays.has(name)) continue;
    for (const what of ["step", ...LEFTOVERS]) drop(`${what}:${name}`);
    // A signal that came before its wait is for that wait; not for one that is gone, or is gone through again.
    const awaits = shapeOf(to).byName.get(name)?.kind === "wait" && (!steps.has(name) || isLive(steps.get(name)));
    for (const what of awaits ? [] : SIGNAL_LEFTOVERS) drop(`${what}:${name}`);
  }
  drop("ends");
  drop("active");
  if (statusOnceMoved({ record, from, to, steps, plan, outputs, input }) === "queued") drop("unstarted");
  return { settled, set, gone };
}

function rowOf(place: string): string | undefined {
  return place.startsWith("timer:") ? place.slice("timer:".length) : undefined;
}
