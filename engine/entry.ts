import type { Graph } from "./graph.ts";
import type { PartitionKeys } from "./keys.ts";
import type { Step } from "./step.ts";
import type { Priority } from "./views.ts";

/** One step of one workflow version as a worker serves it, in one lane. */
export interface StepStream {
  /** The partition that it is in. */
  readonly keys: PartitionKeys;
  readonly graph: Graph;
  readonly step: Step;
  /** The priority of the runs whose entries are in it. */
  readonly lane: Priority;
  /** Of a step with limits: whether its entries are yet to pass the gate, or have. */
  readonly gate?: "before" | "passed";
  /** The key of its stream. */
  readonly key: string;
}

/** A stream entry that this process holds: one attempt of one step of one run. */
export interface Entry {
  readonly stream: StepStream;
  readonly id: string;
  /** How often it was delivered, this time included: with the id and the consumer, the fence. */
  readonly count: number;
  readonly run: string;
  readonly tenant: string;
  /** How often its handler failed before. */
  readonly failures: number;
  /** How many workers died of it, this entry's deliveries included. */
  readonly crashes: number;
  /** Its input as stored; empty if it is to be read from the run. */
  readonly input: string;
  /** Which item of its step it is about. */
  readonly item?: number;
  /** What the step has waited for, if it has. */
  readonly wake?: string;
  /** The trace that its run is of, as Redis holds it. */
  readonly trace?: string;
}

/** 1 for the first attempt; failures and crashes count, interruptions do not. */
export function attemptOf(entry: Entry): number {
  return entry.failures + entry.crashes + 1;
}

/** Whether it is to undo its step, and not to run it. */
export function isUndo(entry: Entry): boolean {
  return entry.wake === "undo";
}

/** Whether the next is a call of its handler: a map or a loop begins with its items. */
export function isToStart(entry: Entry): boolean {
  return !isUndo(entry) && (entry.item !== undefined || entry.stream.step.work.kind === "task");
}

/** Whether its step has taken down workers, and may take down only one more. */
export function isOnLastChance({ crashes, stream }: Entry): boolean {
  return crashes > 0 && crashes === stream.step.crashes - 1;
}

/**
 * Reads a stream entry's fields.
 *
 * @returns undefined for one that no script of ours has written
 */
export function parseEntry(stream: StepStream, id: string, count: number, fields: string[]): Entry | undefined {
  const values: Record<string, string> = {};
  for (let i = 0; i + 1 < fields.length; i += 2) values[fields[i]!] = fields[i + 1]!;
  const { run, tenant, failures, crashes, input, item, wake, trace } = values;
  if (run === undefined || tenant === undefined || input === undefined) return undefined;
  const failed = Number(failures ?? 0);
  const crashed = Number(crashes ?? 0) + count - 1;
  if (!Number.isInteger(failed) || !Number.isInteger(crashed)) return undefined;
  const entry = { stream, id, count, run, tenant, failures: failed, crashes: crashed, input };
  if (!item && !wake && !trace) return entry;
  return { ...entry, ...(item ? { item: Number(item) } : {}), ...(wake ? { wake } : {}), ...(trace ? { trace } : {}) };
}

/** The order of entries' ids, `MS-SEQ`, as for `sort`. */
export function compareIds(a: string, b: string): number {
  // Of one length, as ids of these centuries are but for their sequence, their text has that order too.
  if (a.length === b.length) return a < b ? -1 : a > b ? 1 : 0;
  const dash = a.indexOf("-");
  if (dash === b.indexOf("-") && b.startsWith(a.slice(0, dash))) return a.length - b.length;
  const [aMs, aSeq] = a.split("-").map(Number) as [number, number];
  const [bMs, bSeq] = b.split("-").map(Number) as [number, number];
  return aMs - bMs || aSeq - bSeq;
}
