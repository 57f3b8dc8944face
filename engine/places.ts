import { type Graph, type StepShape, shapeOf } from "./graph.ts";
import { PARKED, parseTimerRow } from "./timer-rows.ts";

/** What the reconciler reads of every run, beside what it reads of its steps. */
export const RUN_FIELDS = [
  ...["status", "version", "workflow", "tenant", "createdAt", "priority", "tags"],
  ...["startsAt", "ttlMs", "deadlineMs", "replays", "parent"],
] as const;

/** What it reads of a step. */
const STEP_FIELDS = ["step", "undo", "due", "signalled"];

/** Fields of a run by their names; what it does not have is missing. */
export type Fields = Readonly<Record<string, string | undefined>>;

/** What the place of a live step is. The script `reconcile` says when each is lost. */
export type PlaceKind = "entry" | "gate" | "row" | "parked" | "child" | "items";

/** Where a live step or item of a run is, by its record. */
export interface LivePlace {
  step: string;
  kind: PlaceKind;
  /** The field that its record is in: of the run, or of the step's live items. */
  field: string;
  record: string;
  item?: number;
  /** What an entry in place of the one that is lost says that the step was woken by. */
  woken?: string;
  /** Of a timer row: when it is due, in ms; undefined for now. */
  dueMs?: number;
  /** The run that it waits for. */
  child?: string;
}

const LIVE = new Set(["queued", "running", "waiting", "retrying"]);
const ENTRY = /^\d+-\d+$/;

/** The fields of a run that say where its steps are. */
export function stepFields(graph: Graph): string[] {
  return graph.steps.flatMap(({ name }) => STEP_FIELDS.map((what) => `${what}:${name}`));
}

/** The live steps of a run by their places, without those of their items. */
export function placesOf(graph: Graph, fields: Fields): LivePlace[] {
  const what = fields.status === "undoing" ? "undo" : "step";
  return shapeOf(graph).steps.flatMap((step) => {
    const field = `${what}:${step.name}`;
    const place = placeOf(step, field, fields[field], fields);
    return place === undefined ? [] : [place];
  });
}

/** The live items of a step by their places, of what is kept of them. */
export function itemPlaces(step: StepShape, kept: Readonly<Record<string, string>>): LivePlace[] {
  return Object.entries(kept).flatMap(([field, record]) => {
    const place = /^\d+$/.test(field) ? placeOf(step, field, record, {}) : undefined;
    return place === undefined ? [] : [{ ...place, item: Number(field) }];
  });
}

/** Undefined for a step that is not live, or whose place is none that is known. */
function placeOf(step: StepShape, field: string, record: string | undefined, fields: Fields): LivePlace | undefined {
  const [status = "", , , , at = "", started] = record?.split(" ") ?? [];
  if (record === undefined || !LIVE.has(status)) return undefined;
  const place = { step: step.name, field, record };
  if (field.startsWith("undo:") && ENTRY.test(at)) return { ...place, kind: "entry", woken: "undo" };
  if (ENTRY.test(at)) {
    const woken = status === "queued" && started !== "-" ? wokenBy(step, fields) : undefined;
    return { ...place, kind: "entry", ...(woken === undefined ? {} : { woken }) };
  }
  if (at === "items") return { ...place, kind: "items" };
  if (at.startsWith("gate:")) return { ...place, kind: "gate" };
  const row = at.startsWith("timer:") ? parseTimerRow(at.slice("timer:".length)) : undefined;
  if (row?.kind !== "wake") return undefined;
  const undo = field.startsWith("undo:") ? { woken: "undo" } : {};
  if (row.reason.startsWith(PARKED)) return { ...place, ...undo, kind: "parked" };
  if (row.reason === "child" || row.reason === "detached") return { ...place, kind: "child", child: row.entry };
  const due = row.reason === "delay" ? fields.startsAt : fields[`due:${step.name}`];
  // A wait without a time-out is woken by its signal alone.
  if (row.reason === "timeout" && due === undefined) return undefined;
  return { ...place, ...undo, kind: "row", ...(due === undefined ? {} : { dueMs: Number(due) }) };
}

/**
 * What a step that is queued again has waited for: what was queued for the first time has not begun, and says so. (One that
 * waits for what has come already is woken at once, so being wrong costs time and nothing else.)
 */
function wokenBy({ kind, name }: StepShape, fields: Fields): string | undefined {
  if (kind === "sleep" || kind === "child") return kind;
  if (kind !== "wait") return undefined;
  return fields[`signalled:${name}`] === "" ? "timeout" : "signal";
}

/** When the limits that a run is held to are over, in ms. */
export function limitsOf({ status, createdAt, startsAt, ttlMs, deadlineMs, replays }: Fields, nowMs: number) {
  const from = Number(startsAt ?? createdAt);
  const limits: { limit: "ttl" | "deadline"; dueMs: number }[] = [];
  // What is replayed has started once, and is held to no deadline that had passed by then.
  if (ttlMs !== undefined && status === "queued" && replays === undefined)
    limits.push({ limit: "ttl", dueMs: from + Number(ttlMs) });
  if (deadlineMs !== undefined && (replays === undefined || from + Number(deadlineMs) > nowMs))
    limits.push({ limit: "deadline", dueMs: from + Number(deadlineMs) });
  return limits;
}

/** The run that a child run ends with, if it is one of those. */
export function parentRun({ parent }: Fields): string | undefined {
  const [reason, , run] = parent?.split("|") ?? [];
  return reason === "child" ? run : undefined;
}

export function isLiveRun({ status }: Fields): boolean {
  return status !== undefined && (LIVE.has(status) || status === "undoing");
}
