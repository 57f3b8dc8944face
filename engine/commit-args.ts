import { attemptOf, compareIds, type Entry, type StepStream } from "./entry.ts";
import type { ErrorRecord } from "./errors.ts";
import { encodeEvent } from "./events.ts";
import { GATE_KINDS, gateKeys } from "./gate-places.ts";
import { type Graph, type GraphShape, shapeOf, workflowVersion } from "./graph.ts";
import { deadLetterId } from "./ids.ts";
import { chunkOf, type PartitionKeys } from "./keys.ts";
import { entryInput } from "./payload.ts";
import { brief, stepEvent } from "./step-events.ts";
import { encodeTimerRow, type TimerRow } from "./timer-rows.ts";
import type { Parking, Transition } from "./transition.ts";
import type { Spent } from "./usage.ts";
import { PRIORITIES, type Priority } from "./views.ts";

/** What a held entry has come to, to be committed. */
export interface CommitItem {
  entry: Entry;
  /** How long ago the attempt started, in ms, if that has not been told yet. */
  startedAgoMs?: number;
  /** The number of this batch of the attempt's events: a batch that is sent twice is stored once. */
  batch: number;
  /** Encoded events. */
  events: string[];
  /** How far the step is, as JSON, if that has changed. */
  progress?: { progress: number; message?: string };
  /** What was used since it was told last. It belongs to the batch, and is counted with it once. */
  usage?: Spent;
  /** How many tokens the attempt has spent, with its end. */
  spent?: number;
  /** How the attempt ended, if it did. */
  end?: Transition;
}

type KeyKind = "h" | "l" | "r" | "s" | "z";
type Arg = string | number;

/** How many more entries than those of a group to ask for when looking for owners: others may lie between them. */
const OWNER_SLACK = 64;
/** Where among the arguments of a tenant the key is of what it has parked. */
const PARKED_AT = 8;

/** The KEYS and ARGV of the script `commit` for up to 100 items of one partition. Its contract is in the script. */
export function commitArgs(
  keys: PartitionKeys,
  consumer: string,
  items: readonly CommitItem[],
): { keys: string[]; args: Arg[] } {
  const group = new Group(keys);
  const body: Arg[] = [];
  for (const item of items) pushItem(body, group, item);
  for (const [i, item] of items.entries())
    if (item.usage !== undefined) pushUsage(body, group, i + 1, item, item.usage);
  const args: Arg[] = [consumer, group.kinds, keys.run("").length, group.tenants.size, group.graphs.size];
  args.push(group.streams.size, items.length);
  for (const { args: tenant } of group.tenants.values()) for (const arg of tenant) args.push(arg);
  for (const { args: graph } of group.graphs.values()) for (const arg of graph) args.push(arg);
  for (const { args: stream, first, last, count, place } of group.streams.values())
    args.push(...stream, first, last, count + OWNER_SLACK, ...place);
  for (const arg of body) args.push(arg);
  return { keys: group.keys, args };
}

/** What the items of a group share: keys, each named once, with its type and its number as the script counts. */
class Group {
  readonly keys: string[] = [];
  kinds = "";
  readonly tenants = new Map<string, { number: number; args: Arg[] }>();
  readonly graphs = new Map<string, { number: number; args: Arg[] }>();
  readonly streams = new Map<
    StepStream,
    { number: number; args: Arg[]; first: string; last: string; count: number; place: Arg[] }
  >();
  readonly #partition: PartitionKeys;
  readonly #numbers = new Map<string, number>();

  constructor(partition: PartitionKeys) {
    this.#partition = partition;
    this.#key(partition.timers(), "z");
    this.#key(partition.delayed(), "h");
  }

  #key(key: string, kind: KeyKind): number {
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = this.keys.push(key);
      this.kinds += kind;
      this.#numbers.set(key, number);
    }
    return number;
  }

  /** A run's number; those of its log and of its steps' live items are the next. */
  run(id: string, shape: GraphShape): number {
    const key = this.#partition.run(id);
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    const number = this.#key(key, "r");
    this.#key(this.#partition.log(id), "l");
    for (const step of shape.plain ? [] : shape.steps)
      if (step.items > 0) this.#key(this.#partition.items(id, step.name), "h");
    return number;
  }

  /** The number of another run, that this one waits for: not the one by which it is known here, if it is. */
  otherRun(id: string): number {
    this.kinds += "h";
    return this.keys.push(this.#partition.run(id));
  }

  chunk(entry: Entry, item: number): number {
    return this.#key(this.#partition.chunk(entry.run, entry.stream.step.name, chunkOf(item)), "h");
  }

  tenant(name: string, shape: GraphShape): number {
    let tenant = this.tenants.get(name);
    if (tenant === undefined) {
      const indexes = ["queued", "running", "waiting", "completed", "failed"].map((status) =>
        this.#key(this.#partition.runsByStatus(name, status), "z"),
      );
      const letters = this.#key(this.#partition.deadLetters(name), "z");
      const args = [name, ...indexes, letters, this.#key(this.#partition.ends(name), "l"), 0];
      tenant = { number: this.tenants.size + 1, args };
      this.tenants.set(name, tenant);
    }
    // Where a step fails, others of its run may be parked; in a chain of tasks there are none.
    if (!shape.plain) tenant.args[PARKED_AT] = this.#key(this.#partition.parked(name), "z");
    return tenant.number;
  }

  /** The number of what a tenant, or one of its keys, has used. */
  usage(tenant: string, key?: string): number {
    return this.#key(key === undefined ? this.#partition.usage(tenant) : this.#partition.usageOfKey(tenant, key), "h");
  }

  /** The number of a graph in a lane. */
  #graph(graph: Graph, { steps, ends }: GraphShape, lane: Priority): number {
    const field = `${lane} ${workflowVersion(graph)}`;
    let known = this.graphs.get(field);
    if (known === undefined) {
      const args: Arg[] = [workflowVersion(graph), ends.length, steps.length];
      for (const { name, after, items, undo, limits, next } of steps) {
        const key = this.#key(this.#partition.step(graph, name, lane), "s");
        args.push(name, key, after.length, items, undo ? 1 : 0, limits ? this.#gate(graph, name) : 0, next.length);
        for (const index of next) args.push(index + 1);
      }
      known = { number: this.graphs.size + 1, args };
      this.graphs.set(field, known);
    }
    return known.number;
  }

  /** The number of the first key of a step's gate; the others follow. */
  #gate(graph: Graph, step: string): number {
    this.kinds += GATE_KINDS;
    return this.keys.push(...gateKeys(this.#partition, graph, step)) - GATE_KINDS.length + 1;
  }

  /** A stream's number, widened to where this entry lies. */
  stream(stream: StepStream, entry: string): number {
    let known = this.streams.get(stream);
    if (known === undefined) {
      const { graph, step } = stream;
      const dead = this.#key(this.#partition.dead(graph, step.name), "s");
      const args = [this.#key(stream.key, "s"), step.name, dead, delayedField(graph, step.name)];
      const place = this.#place(stream);
      known = { number: this.streams.size + 1, args, first: entry, last: entry, count: 0, place };
      this.streams.set(stream, known);
    }
    if (compareIds(entry, known.first) < 0) known.first = entry;
    if (compareIds(known.last, entry) < 0) known.last = entry;
    known.count += 1;
    return known.number;
  }

  /** Where a step stands: which step of which graph; in a chain of tasks, which comes next. */
  #place({ graph, lane, step: { name } }: StepStream): Arg[] {
    const shape = shapeOf(graph);
    const step = shape.byName.get(name)!;
    if (!shape.plain) return [this.#graph(graph, shape, lane), step.index + 1];
    const next = step.next.map((index) => shape.steps[index]!.name);
    return [0, next.length, ...next.flatMap((each) => [this.#key(this.#partition.step(graph, each, lane), "s"), each])];
  }
}

const KINDS = {
  ...{ complete: "completed", skip: "skipped", park: "parked", expand: "expanded" },
  ...{ gate: "gated", leave: "left", retry: "retrying", collect: "collected", dead: "failed", release: "released" },
} as const;

function pushItem(body: Arg[], group: Group, committed: CommitItem): void {
  const { entry, end, startedAgoMs, events, batch, progress, spent = 0 } = committed;
  const { id, count, run, tenant, failures, crashes, item, stream } = entry;
  const kind = end === undefined ? "events" : KINDS[end.kind];
  const failed = failures + (end?.kind === "retry" ? 1 : 0);
  body.push(item === undefined ? kind : `${kind}#`, group.stream(stream, id), id, count);
  const shape = shapeOf(stream.graph);
  body.push(group.run(run, shape), group.tenant(tenant, shape), `${attemptOf(entry)} ${failed} ${crashes}`);
  body.push(startedAgoMs ?? "", events.length);
  if (item !== undefined) {
    const thousandths = progress === undefined || stream.step.work.kind !== "map" ? "" : progress.progress * 1_000;
    body.push(item, group.chunk(entry, item), thousandths === "" ? "" : Math.round(thousandths));
  }
  if (stream.gate !== undefined) body.push(spent);
  if (events.length > 0) body.push(batch, progress === undefined ? "" : JSON.stringify(progress), ...events);
  if (end !== undefined) pushEnd(body, group, entry, end);
}

function pushUsage(body: Arg[], group: Group, number: number, { entry, batch }: CommitItem, usage: Spent): void {
  const { tenant, run, id } = entry;
  body.push(
    number,
    batch,
    usage.tokens,
    usage.billionths,
    deadLetterId(run, id),
    group.usage(tenant),
    usage.byKey.size,
  );
  for (const [key, { tokens, billionths }] of usage.byKey) body.push(group.usage(tenant, key), tokens, billionths);
}

function pushEnd(body: Arg[], group: Group, entry: Entry, end: Transition): void {
  const { failures, crashes, item = "", wake = "" } = entry;
  switch (end.kind) {
    case "complete":
      body.push(end.output, entryInput(end.output) === "" ? "" : "=");
      if (item !== "") body.push(end.turn ?? collecting(entry));
      break;
    case "gate":
      body.push(end.key, entry.input, PRIORITIES.indexOf(entry.stream.lane) + 1);
      break;
    case "release":
    case "leave":
      body.push(failures, crashes, entry.input, item, wake);
      break;
    case "park":
      pushParked(body, group, entry, end.parking);
      break;
    case "expand":
      body.push(end.total, end.limit, end.first);
      break;
    case "retry": {
      // What it was woken by is not forgotten when the step is tried again.
      const row = encodeTimerRow(wakeRow(wake === "" ? "retry" : `retry:${wake}`, entry, entry.id));
      const data = { error: brief(end.error), delayMs: end.delayMs };
      body.push(JSON.stringify(end.error), stepEvent("step.retrying", entry, data), end.delayMs, row);
      break;
    }
    case "collect":
      body.push(JSON.stringify(end.error), stepEvent("step.failed", entry, { error: brief(end.error) }));
      break;
    case "dead":
      pushFailed(body, entry, end.error);
  }
}

function collecting({ stream: { step } }: Entry): string {
  return step.work.kind === "map" ? step.work.onItemFailure : "fail";
}

function pushParked(body: Arg[], group: Group, entry: Entry, parking: Parking): void {
  const { item = "", input } = entry;
  const row = (reason: string, by = entry.id) => encodeTimerRow(wakeRow(reason, entry, by));
  switch (parking.reason) {
    case "sleep":
      body.push(row("sleep"), "at_ms" in parking ? `@${parking.at_ms}` : parking.delayMs, "", 0, item, input);
      break;
    case "signal":
      body.push(row("timeout"), parking.timeoutMs ?? "", `signal:${entry.stream.step.name}`, 0, item, input);
      break;
    case "child": {
      const { child, detached } = parking;
      body.push(row(detached ? "detached" : "child", child), "", "", group.otherRun(child), item, input);
    }
  }
}

/** The row that puts a step, or an item of it, back into its stream. */
export function wakeRow(reason: string, { run, tenant, item, stream }: Entry, by: string): TimerRow {
  const { workflow, version } = stream.graph;
  const of = { run, tenant, workflow, version: `${version}`, step: stream.step.name, item: `${item ?? ""}` };
  return { kind: "wake", reason, ...of, entry: by };
}

function pushFailed(body: Arg[], entry: Entry, error: ErrorRecord): void {
  const deadLetter = deadLetterId(entry.run, entry.id);
  const data = { error: brief(error), step: entry.stream.step.name, deadLetter };
  body.push(JSON.stringify(error), stepEvent("step.failed", entry, { error: brief(error) }));
  body.push(encodeEvent({ type: "run.failed", data }), deadLetter);
}

/** The field of a step in the hash that counts its waiting timer rows. */
export function delayedField(graph: { workflow: string; version: number | string }, step: string): string {
  return `${workflowVersion(graph)}:${step}`;
}
