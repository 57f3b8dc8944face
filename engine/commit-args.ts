import { attemptOf, compareIds, type Entry, type StepStream } from "./entry.ts";
import type { ErrorRecord } from "./errors.ts";
import { encodeEvent } from "./events.ts";
import { stepsAfter, workflowVersion } from "./graph.ts";
import { deadLetterId } from "./ids.ts";
import type { PartitionKeys } from "./keys.ts";
import { entryInput } from "./payload.ts";
import { encodeTimerRow, type TimerRow } from "./timer-rows.ts";
import type { Transition } from "./transition.ts";

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
  progress?: string;
  /** How the attempt ended, if it did; with `complete`, `output` is what Redis holds for it. */
  end?: { transition: Transition; output?: string };
}

type KeyKind = "h" | "l" | "r" | "s" | "z";
type Arg = string | number;

/** How many more entries than those of a group to ask for when looking for owners: others may lie between them. */
const OWNER_SLACK = 64;

/** The KEYS and ARGV of the script `commit` for up to 100 items of one partition. Its contract is in the script. */
export function commitArgs(
  keys: PartitionKeys,
  consumer: string,
  items: readonly CommitItem[],
): { keys: string[]; args: Arg[] } {
  const group = new Group(keys);
  const body: Arg[] = [];
  for (const item of items) pushItem(body, group, item);
  const args: Arg[] = [
    consumer,
    group.kinds,
    keys.run("").length,
    group.tenants.size,
    group.streams.size,
    items.length,
  ];
  for (const { args: tenant } of group.tenants.values()) for (const arg of tenant) args.push(arg);
  for (const { args: stream, first, last, count, next } of group.streams.values())
    args.push(...stream, first, last, count + OWNER_SLACK, next.length / 2, ...next);
  for (const arg of body) args.push(arg);
  return { keys: group.keys, args };
}

/** What the items of a group share: keys, each named once, with its type and its number as the script counts. */
class Group {
  readonly keys: string[] = [];
  kinds = "";
  readonly tenants = new Map<string, { number: number; args: Arg[] }>();
  readonly streams = new Map<
    StepStream,
    { number: number; args: Arg[]; first: string; last: string; count: number; next: Arg[] }
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

  /** A run's number; its log's is the next. */
  run(id: string): number {
    const number = this.#key(this.#partition.run(id), "r");
    this.#key(this.#partition.log(id), "l");
    return number;
  }

  tenant(name: string): number {
    let tenant = this.tenants.get(name);
    if (tenant === undefined) {
      const indexes = ["queued", "running", "completed", "failed"].map((status) =>
        this.#key(this.#partition.runsByStatus(name, status), "z"),
      );
      const args = [name, ...indexes, this.#key(this.#partition.deadLetters(name), "z")];
      tenant = { number: this.tenants.size + 1, args };
      this.tenants.set(name, tenant);
    }
    return tenant.number;
  }

  /** A stream's number, widened to where this entry lies. */
  stream(stream: StepStream, entry: string): number {
    let known = this.streams.get(stream);
    if (known === undefined) {
      const { graph, step } = stream;
      const dead = this.#key(this.#partition.dead(graph, step.name), "s");
      const args = [this.#key(stream.key, "s"), step.name, dead, delayedField(graph, step.name)];
      const next = stepsAfter(graph, step.name).flatMap((name) => [
        this.#key(this.#partition.step(graph, name, stream.lane), "s"),
        name,
      ]);
      known = { number: this.streams.size + 1, args, first: entry, last: entry, count: 0, next };
      this.streams.set(stream, known);
    }
    if (compareIds(entry, known.first) < 0) known.first = entry;
    if (compareIds(known.last, entry) < 0) known.last = entry;
    known.count += 1;
    return known.number;
  }
}

const KINDS = { complete: "completed", retry: "retrying", dead: "failed", release: "released" } as const;

function pushItem(body: Arg[], group: Group, item: CommitItem): void {
  const { entry, end } = item;
  const { id, count, run, tenant, failures, crashes } = entry;
  const transition = end?.transition;
  const kind = transition === undefined ? "events" : KINDS[transition.kind];
  const failed = failures + (transition?.kind === "retry" ? 1 : 0);
  body.push(kind, group.stream(entry.stream, id), id, count, group.run(run), group.tenant(tenant));
  body.push(`${attemptOf(entry)} ${failed} ${crashes}`, item.startedAgoMs ?? "", item.events.length);
  if (item.events.length > 0) body.push(item.batch, item.progress ?? "", ...item.events);
  switch (transition?.kind) {
    case "complete": {
      const output = end?.output ?? "null";
      body.push(output, entryInput(output) === "" ? "" : "=");
      break;
    }
    case "release":
      body.push(failures, crashes, entry.input);
      break;
    case "retry":
      pushRetrying(body, entry, transition.error, transition.delayMs);
      break;
    case "dead":
      pushFailed(body, entry, transition.error);
  }
}

function pushRetrying(body: Arg[], entry: Entry, error: ErrorRecord, delayMs: number): void {
  const row = encodeTimerRow(wakeRow("retry", entry));
  body.push(JSON.stringify(error), stepEvent("step.retrying", entry, { error: brief(error), delayMs }), delayMs, row);
}

/** The row that puts the step of this entry back into its stream. */
function wakeRow(reason: string, { run, id, stream: { graph, step } }: Entry): TimerRow {
  const { workflow, version } = graph;
  return { kind: "wake", reason, run, workflow, version: `${version}`, step: step.name, item: "", entry: id };
}

function pushFailed(body: Arg[], entry: Entry, error: ErrorRecord): void {
  const deadLetter = deadLetterId(entry.run, entry.id);
  const data = { error: brief(error), step: entry.stream.step.name, deadLetter };
  body.push(JSON.stringify(error), stepEvent("step.failed", entry, { error: brief(error) }));
  body.push(encodeEvent({ type: "run.failed", data }), deadLetter);
}

function stepEvent(type: "step.retrying" | "step.failed", entry: Entry, data: unknown): string {
  return encodeEvent({ type, step: entry.stream.step.name, attempt: attemptOf(entry), data });
}

/** Clients are shown what went wrong, not where in the code: that is for the reader of the dead letter. */
function brief({ stack: _stack, ...error }: ErrorRecord): ErrorRecord {
  return error;
}

/** The field of a step in the hash that counts its waiting timer rows. */
export function delayedField(graph: { workflow: string; version: number | string }, step: string): string {
  return `${workflowVersion(graph)}:${step}`;
}
