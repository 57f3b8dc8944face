import { GATE_KINDS, gateKeys } from "../gate-places.ts";
import { delayedField, type Graph, shapeOf, workflowVersion } from "../graph.ts";
import type { PartitionKeys } from "../keys.ts";
import { type Fields, type LivePlace, limitsOf } from "../places.ts";
import { laneOf, statusOf } from "../run-record.ts";
import { encodeTimerRow, type TimerRow } from "../timer-rows.ts";
import { limitRows } from "./start-terms.ts";

/** A run as it was read, and the places of its live steps that are to be looked at. */
export interface ReadRun {
  id: string;
  /** `status` is missing of a run that is gone. */
  fields: Fields;
  /** Undefined of a run that is gone, or of a version that nobody knows: then only the indexes are looked at. */
  graph: Graph | undefined;
  places: LivePlace[];
}

type Arg = string | number;
const LIVE_INDEXES = ["queued", "running", "waiting"];

/** The KEYS and ARGV of one call of the script `reconcile`: up to 100 runs with up to 100 places. Its contract is in the script. */
export class ReconcileArgs {
  readonly keys: string[] = [];
  #kinds = "";
  readonly #partition: PartitionKeys;
  readonly #tenant: string;
  readonly #nowMs: number;
  readonly #numbers = new Map<string, number>();
  readonly #gates = new Map<string, { number: number; args: Arg[] }>();

  /** @param tenant whose index lists runs that are gone */
  constructor(partition: PartitionKeys, tenant: string, nowMs: number) {
    this.#partition = partition;
    this.#tenant = tenant;
    this.#nowMs = nowMs;
    this.#key(partition.timers(), "z");
    this.#key(partition.delayed(), "h");
  }

  /** @param rows timer rows that must be set, with the ms when they are due */
  of(runs: readonly ReadRun[], rows: readonly (readonly [TimerRow, number])[]): { keys: string[]; args: Arg[] } {
    const ofRuns = runs.flatMap((run) => this.#run(run));
    const places = runs.flatMap((run, i) => run.places.map((place) => this.#place(i + 1, run, place)));
    const ofRows = rows.flatMap(([row, dueMs]) => [encodeTimerRow(row), dueMs]);
    const gates = [...this.#gates.values()].flatMap(({ args }) => args);
    const counts = [this.#gates.size, runs.length, places.length, rows.length];
    return { keys: this.keys, args: [this.#kinds, ...counts, ...gates, ...ofRuns, ...places.flat(), ...ofRows] };
  }

  #key(key: string, kind: string): number {
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    const number = this.keys.push(key);
    this.#kinds += kind;
    this.#numbers.set(key, number);
    return number;
  }

  #run({ id, fields, graph }: ReadRun): Arg[] {
    const { tenant = this.#tenant, workflow, status = "", version = "", tags } = fields;
    const keys = this.#partition;
    const number = this.#key(keys.run(id), "h");
    const [first] = LIVE_INDEXES.map((each) => this.#key(keys.runsByStatus(tenant, each), "z"));
    const listed: number[] = [];
    if (status !== "" && workflow !== undefined) {
      const own = statusOf({ status });
      listed.push(this.#key(keys.runsByStatus(tenant, own), "z"));
      listed.push(this.#key(keys.runsByWorkflow(tenant, workflow), "z"));
      for (const tag of tags === undefined ? [] : (JSON.parse(tags) as string[]))
        listed.push(this.#key(keys.runsByTag(tenant, tag), "z"));
    }
    const limits = graph === undefined ? [] : limitsOf(fields, this.#nowMs);
    const [ttl, deadline] = graph === undefined ? [] : limitRows(id, graph);
    const ofLimits = limits.flatMap(({ limit, dueMs }) => {
      const row = (limit === "ttl" ? ttl : deadline)!;
      return [row, row.replace(/^expire/, "overdue"), dueMs];
    });
    return [id, number, status, version, first!, listed.length, ...listed, limits.length, ...ofLimits];
  }

  #place(run: number, { id, fields, graph }: ReadRun, place: LivePlace): Arg[] {
    const { step, kind, field, record, item = "", woken = "", dueMs = "", child } = place;
    const keys = this.#partition;
    const lane = laneOf(fields as Record<string, string>);
    const holder = item === "" ? keys.run(id) : keys.items(id, step);
    const hasGate = shapeOf(graph!).byName.get(step)!.limits && woken !== "undo";
    const gate = hasGate ? this.#gate(graph!, step) : 0;
    let other = 0;
    if (kind === "parked") other = this.#key(keys.parked(fields.tenant!), "z");
    if (kind === "child") other = this.#key(keys.run(child!), "h");
    if (kind === "items") other = this.#key(keys.items(id, step), "h");
    return [
      ...[run, kind, this.#key(holder, "h"), field, record, item],
      ...[this.#key(keys.step(graph!, step, lane), "s"), gate, woken, delayedField(graph!, step), dueMs, other],
    ];
  }

  #gate(graph: Graph, step: string): number {
    const [hash, ...more] = gateKeys(this.#partition, graph, step);
    const known = this.#gates.get(hash!);
    if (known !== undefined) return known.number;
    const first = this.#key(hash!, GATE_KINDS[0]!);
    for (const [i, key] of more.entries()) this.#key(key, GATE_KINDS[i + 1]!);
    const number = this.#gates.size + 1;
    this.#gates.set(hash!, { number, args: [first, workflowVersion(graph), step] });
    return number;
  }
}
