import { iso } from "../run-record.ts";
import type { Priority } from "../views.ts";
import type { MissedPolicy, OverlapPolicy, RunQuota, ScheduleStatus, ScheduleSummary, ScheduleView } from "./api.ts";
import type { CadenceRecord } from "./cadence.ts";

/** A schedule as its hash holds it. Times and ticks in ms. */
export interface ScheduleRecord {
  status: ScheduleStatus;
  /** Raised with every write: who writes says which one they read. */
  revision: number;
  /** The revision that armed its timer row, which names it: a row of an earlier one is stale. */
  generation: number;
  workflow: string;
  cadence: CadenceRecord;
  /** The JSON of the input as it was given: every start checks it anew. */
  input: string;
  metadata: string | undefined;
  /** Every run's, if it is not normal. */
  priority: Priority | undefined;
  /** The JSON of every run's tags, if there are any. */
  tags: string | undefined;
  /** The JSON of the quota that its runs count for, if there is one. */
  quota: string | undefined;
  overlap: OverlapPolicy;
  missed: MissedPolicy;
  jitterMs: number;
  /** By how much its ticks are put off: below `jitterMs`, drawn once. */
  offset: number;
  createdAt: number;
  updatedAt: number;
  /** The first tick that nothing was decided on. */
  nextTick: number | undefined;
  /** The last tick that a run was started for, and that run. */
  lastTick: number | undefined;
  lastRun: string | undefined;
  /** Ticks whose runs are being started. */
  starting: readonly number[];
  waiting: readonly number[];
  skipped: { tick: number; reason: "missed" | "overlap" } | undefined;
  error: { tick: number; code?: string; message: string } | undefined;
}

/** The fields of the hash: those that hold nothing are left out. */
export function encodeSchedule(record: ScheduleRecord): Record<string, string> {
  const { cadence, starting, waiting, skipped, error, ...plain } = record;
  const fields: Record<string, string> = { cadence: JSON.stringify(cadence) };
  for (const [name, value] of Object.entries(plain)) if (value !== undefined) fields[name] = String(value);
  if (starting.length > 0) fields.starting = starting.join(" ");
  if (waiting.length > 0) fields.waiting = waiting.join(" ");
  if (skipped !== undefined) fields.skipped = JSON.stringify(skipped);
  if (error !== undefined) fields.error = JSON.stringify(error);
  return fields;
}

export function decodeSchedule(fields: Record<string, string>): ScheduleRecord {
  const number = (name: string) => (fields[name] === undefined ? undefined : Number(fields[name]));
  const json = (name: string) => (fields[name] === undefined ? undefined : JSON.parse(fields[name]));
  const ticks = (name: string) => (fields[name] === undefined ? [] : fields[name].split(" ").map(Number));
  return {
    status: fields.status as ScheduleStatus,
    revision: number("revision")!,
    generation: number("generation")!,
    workflow: fields.workflow!,
    cadence: json("cadence"),
    input: fields.input!,
    metadata: fields.metadata,
    priority: fields.priority as Priority | undefined,
    tags: fields.tags,
    quota: fields.quota,
    overlap: fields.overlap as OverlapPolicy,
    missed: fields.missed as MissedPolicy,
    jitterMs: number("jitterMs")!,
    offset: number("offset")!,
    createdAt: number("createdAt")!,
    updatedAt: number("updatedAt")!,
    nextTick: number("nextTick"),
    lastTick: number("lastTick"),
    lastRun: fields.lastRun,
    starting: ticks("starting"),
    waiting: ticks("waiting"),
    skipped: json("skipped"),
    error: json("error"),
  };
}

/** What its runs are started with, beside the input and the metadata. */
export function startOptionsOf({ priority, tags }: ScheduleRecord): { priority?: Priority; tags?: string[] } {
  return {
    ...(priority === undefined ? {} : { priority }),
    ...(tags === undefined ? {} : { tags: JSON.parse(tags) as string[] }),
  };
}

export function quotaOf({ quota }: ScheduleRecord): RunQuota | undefined {
  return quota === undefined ? undefined : JSON.parse(quota);
}

export function metadataOf({ metadata }: ScheduleRecord): Record<string, unknown> {
  return metadata === undefined ? {} : JSON.parse(metadata);
}

/** What lists show. */
export function scheduleSummary(name: string, record: ScheduleRecord): ScheduleSummary {
  const { cadence, status, workflow, overlap, missed, jitterMs, waiting, skipped, error } = record;
  return {
    ...{ name, status, workflow },
    ...whenOf(cadence),
    ...{ overlap, missed, jitterMs },
    ...(record.nextTick === undefined ? {} : { nextTick: iso(record.nextTick) }),
    ...(record.lastTick === undefined ? {} : { lastTick: iso(record.lastTick) }),
    ...(record.lastRun === undefined ? {} : { lastRun: record.lastRun }),
    ...(waiting.length === 0 ? {} : { waiting: waiting.map(iso) }),
    ...(skipped === undefined ? {} : { lastSkipped: { ...skipped, tick: iso(skipped.tick) } }),
    ...(error === undefined ? {} : { lastError: { ...error, tick: iso(error.tick) } }),
    ...(record.metadata === undefined ? {} : { metadata: metadataOf(record) }),
    ...startOptionsOf(record),
    createdAt: iso(record.createdAt),
    updatedAt: iso(record.updatedAt),
  };
}

export function scheduleView(name: string, record: ScheduleRecord): ScheduleView {
  return { ...scheduleSummary(name, record), input: JSON.parse(record.input) };
}

function whenOf(cadence: CadenceRecord): Pick<ScheduleView, "cron" | "timeZone" | "every" | "at"> {
  if ("at" in cadence) return { at: iso(cadence.at) };
  if ("every" in cadence) return { every: cadence.every };
  return { cron: cadence.cron, timeZone: cadence.timeZone };
}

/** How long a schedule that has ended is kept. */
const KEPT_MS = 7 * 86_400_000;
/** The end of the run that is waited for makes the row due. One that was lost has none. */
const LOOK_EVERY_MS = 60_000;

/** The run whose end ticks wait for, if any do. */
export function awaitedRun({ overlap, waiting, lastRun }: ScheduleRecord): string | undefined {
  return overlap === "queue" && waiting.length > 0 ? lastRun : undefined;
}

/** When a schedule is to be looked at next; undefined for never. */
export function dueAt(record: ScheduleRecord, now: number): number | undefined {
  const { status, starting, waiting, nextTick, offset } = record;
  if (status === "paused") return undefined;
  if (status === "ended") return now + KEPT_MS;
  if (starting.length > 0) return now;
  const tick = nextTick === undefined ? Number.POSITIVE_INFINITY : Math.max(now, nextTick + offset);
  if (waiting.length === 0) return tick;
  return awaitedRun(record) === undefined ? now : Math.min(tick, now + LOOK_EVERY_MS);
}
