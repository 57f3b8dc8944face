import { attemptOf, type Entry } from "./entry.ts";
import type { ErrorRecord } from "./errors.ts";
import { encodeEvent } from "./events.ts";
import { workflowVersion } from "./graph.ts";
import { deadLetterId } from "./ids.ts";
import type { PartitionKeys } from "./keys.ts";
import { entryInput } from "./payload.ts";
import { encodeTimerRow } from "./timer-rows.ts";
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

type KeyKind = "h" | "l" | "s" | "z";

/** The KEYS of a commit: each once, with its type and its number as the script counts. */
class KeyTable {
  readonly keys: string[] = [];
  kinds = "";
  readonly #numbers = new Map<string, number>();

  number(key: string, kind: KeyKind): number {
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    this.keys.push(key);
    this.kinds += kind;
    this.#numbers.set(key, this.keys.length);
    return this.keys.length;
  }

  /** A run's number; its log's is the next. */
  run(keys: PartitionKeys, id: string): number {
    const number = this.number(keys.run(id), "h");
    this.number(keys.log(id), "l");
    return number;
  }
}

/** How many more entries than those of a group to ask for when looking for owners: others may lie between them. */
const OWNER_SLACK = 64;

/** The KEYS and ARGV of the script `commit` for up to 100 items of one partition. Its contract is in the script. */
export function commitArgs(
  keys: PartitionKeys,
  consumer: string,
  items: readonly CommitItem[],
): { keys: string[]; args: (string | number)[] } {
  const table = new KeyTable();
  const streams = new Map<number, { first: string; last: string; count: number }>();
  const body: (string | number)[] = [];
  for (const item of items) {
    const stream = table.number(item.entry.stream.key, "s");
    widen(streams, stream, item.entry.id);
    pushItem(body, table, keys, item, stream);
  }
  const args: (string | number)[] = [consumer, table.kinds, streams.size, items.length];
  for (const [stream, { first, last, count }] of streams) args.push(stream, first, last, count + OWNER_SLACK);
  for (const arg of body) args.push(arg);
  return { keys: table.keys, args };
}

function widen(streams: Map<number, { first: string; last: string; count: number }>, stream: number, id: string): void {
  const range = streams.get(stream);
  if (range === undefined) {
    streams.set(stream, { first: id, last: id, count: 1 });
    return;
  }
  if (isBefore(id, range.first)) range.first = id;
  if (isBefore(range.last, id)) range.last = id;
  range.count += 1;
}

/** Whether one stream id, `MS-SEQ`, comes before another. */
function isBefore(a: string, b: string): boolean {
  const [aMs, aSeq] = split(a);
  const [bMs, bSeq] = split(b);
  return aMs < bMs || (aMs === bMs && aSeq < bSeq);
}

function split(id: string): [number, number] {
  const dash = id.indexOf("-");
  return [Number(id.slice(0, dash)), Number(id.slice(dash + 1))];
}

function pushItem(
  body: (string | number)[],
  table: KeyTable,
  keys: PartitionKeys,
  item: CommitItem,
  stream: number,
): void {
  const { entry, end } = item;
  const status = (name: string) => table.number(keys.runsByStatus(entry.tenant, name), "z");
  const transition = end?.transition;
  const kind = transition === undefined ? "events" : transition.kind === "release" ? "released" : "done";
  body.push(kind, stream, entry.id, entry.count, table.run(keys, entry.run), entry.run, entry.tenant);
  body.push(
    entry.stream.step.name,
    attemptOf(entry),
    entry.failures + (transition?.kind === "retry" ? 1 : 0),
    entry.crashes,
  );
  body.push(item.startedAgoMs ?? "", item.batch, item.events.length, ...item.events);
  body.push(item.progress ?? "", status("queued"), status("running"));
  switch (transition?.kind) {
    case "release":
      body.push(entry.input);
      break;
    case "complete":
      pushCompleted(body, table, keys, entry, transition.next, end?.output ?? "null", status);
      break;
    case "retry":
      pushRetrying(body, table, keys, entry, transition.error, transition.delayMs);
      break;
    case "dead":
      pushFailed(body, table, keys, entry, transition.error, status);
  }
}

function stepEvent(type: "step.completed" | "step.retrying" | "step.failed", entry: Entry, data?: unknown): string {
  return encodeEvent({ type, step: entry.stream.step.name, attempt: attemptOf(entry), data });
}

function pushCompleted(
  body: (string | number)[],
  table: KeyTable,
  keys: PartitionKeys,
  entry: Entry,
  next: string[],
  output: string,
  status: (name: string) => number,
): void {
  body.push("completed", output, stepEvent("step.completed", entry), next.length);
  for (const step of next) body.push(table.number(keys.step(entry.stream.graph, step), "s"), step, entryInput(output));
  if (next.length === 0) body.push(encodeEvent({ type: "run.completed" }), status("completed"));
}

function pushRetrying(
  body: (string | number)[],
  table: KeyTable,
  keys: PartitionKeys,
  entry: Entry,
  error: ErrorRecord,
  delayMs: number,
): void {
  const { graph, step } = entry.stream;
  const row = { run: entry.run, workflow: graph.workflow, version: graph.version, step: step.name };
  body.push("retrying", JSON.stringify(error), stepEvent("step.retrying", entry, { error: brief(error), delayMs }));
  body.push(delayMs, encodeTimerRow({ kind: "retry", ...row, failures: entry.failures + 1 }));
  body.push(table.number(keys.timers(), "z"), table.number(keys.delayed(), "h"), delayedField(graph, step.name));
}

function pushFailed(
  body: (string | number)[],
  table: KeyTable,
  keys: PartitionKeys,
  entry: Entry,
  error: ErrorRecord,
  status: (name: string) => number,
): void {
  const { graph, step } = entry.stream;
  const deadLetter = deadLetterId(entry.run, entry.id);
  const data = { error: brief(error), step: step.name, deadLetter };
  body.push("failed", JSON.stringify(error), stepEvent("step.failed", entry, { error: brief(error) }));
  body.push(encodeEvent({ type: "run.failed", data }), deadLetter);
  body.push(table.number(keys.dead(graph, step.name), "s"), table.number(keys.deadLetters(entry.tenant), "z"));
  body.push(status("failed"));
}

/** Clients are shown what went wrong, not where in the code: that is for the reader of the dead letter. */
function brief({ stack: _stack, ...error }: ErrorRecord): ErrorRecord {
  return error;
}

/** The field of a step in the hash that counts its waiting timer rows. */
export function delayedField(graph: { workflow: string; version: number }, step: string): string {
  return `${workflowVersion(graph)}:${step}`;
}
