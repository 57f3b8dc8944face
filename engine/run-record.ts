import type { ErrorRecord } from "./errors.ts";
import type { Graph, GraphStep } from "./graph.ts";
import { keyOfTicket } from "./limits.ts";
import { isSpread } from "./payload.ts";
import { PARKED, parseTimerRow } from "./timer-rows.ts";
import { parseBudget, parseUsage } from "./usage.ts";
import type { Values } from "./values.ts";
import type { Priority, RunStatus, RunSummary, RunView, StepStatus, StepView, UndoView } from "./views.ts";

/** A run as its hash holds it, and how long its log is. */
export interface RunRecord {
  id: string;
  fields: Record<string, string>;
  logLength: number;
}

/** A flat reply of HGETALL as an object without a prototype: field names come from outside. */
export function pairs(flat: string[]): Record<string, string> {
  const fields: Record<string, string> = Object.create(null);
  for (let i = 0; i + 1 < flat.length; i += 2) fields[flat[i]!] = flat[i + 1]!;
  return fields;
}

export function iso(ms: string | number): string {
  return new Date(Number(ms)).toISOString();
}

/** The record of a step that has none yet. */
const PENDING = "pending 0 0 0 - - - 0";

/** A step's record, or an item's: its words. */
export function stepWords(record: string) {
  const [status, attempt, , , place, startedAt, endedAt] = record.split(" ");
  return {
    status: status as StepStatus,
    attempt: Number(attempt),
    place: place!,
    startedAt: startedAt!,
    endedAt: endedAt!,
  };
}

/** A run that is being undone is at work for those who look at it. */
export function statusOf({ status }: Record<string, string>): RunStatus {
  return status === "undoing" ? "running" : (status as RunStatus);
}

export function stepStatus(fields: Record<string, string>, step: string): StepStatus {
  return stepWords(fields[`step:${step}`] ?? PENDING).status;
}

export function laneOf(fields: Record<string, string>): Priority {
  return (fields.priority ?? "normal") as Priority;
}

/** What lists show. */
export function summaryOf({ id, fields, logLength }: RunRecord): RunSummary {
  const summary: RunSummary = {
    id,
    workflow: fields.workflow!,
    version: Number(fields.version),
    status: statusOf(fields),
    seq: Number(fields.trimmed ?? 0) + logLength,
    createdAt: iso(fields.createdAt!),
  };
  if (fields.status === "undoing") summary.undoing = fields.ending!.split(" ", 1)[0] as "failed" | "cancelled";
  if (fields.error !== undefined) summary.error = withoutStack(fields.error);
  const startable = Number(fields.startsAt ?? fields.createdAt);
  if (fields.startsAt !== undefined) summary.startsAt = iso(startable);
  if (fields.ttlMs !== undefined) summary.expiresAt = iso(startable + Number(fields.ttlMs));
  if (fields.deadlineMs !== undefined) summary.deadlineAt = iso(startable + Number(fields.deadlineMs));
  if (fields.endedAt !== undefined) summary.endedAt = iso(fields.endedAt);
  if (fields.priority !== undefined) summary.priority = fields.priority as Priority;
  if (fields.tags !== undefined) summary.tags = JSON.parse(fields.tags);
  if (fields.metadata !== undefined) summary.metadata = JSON.parse(fields.metadata);
  if (fields.usage !== undefined) summary.usage = parseUsage(fields.usage);
  if (fields.budget !== undefined) summary.budget = parseBudget(fields.budget);
  return summary;
}

/**
 * The whole view of a run. Values in the blob store are read from there.
 *
 * @throws FatalError `value_lost` if one is gone
 */
export async function viewOf(record: RunRecord, graph: Graph, values: Values): Promise<RunView> {
  const { fields } = record;
  const tenant = fields.tenant!;
  const steps: Record<string, StepView> = {};
  for (const step of graph.steps) steps[step.name] = await stepView(fields, step, tenant, values);
  const input = await values.get(tenant, fields.input!);
  const view: RunView = { ...summaryOf(record), input, steps };
  if (fields.status === "completed") view.output = await values.output(tenant, graph, fields);
  return view;
}

/** A map of more items does not show its output with its step: the items are listed by page. */
const SHOWN_ITEMS = 100;

async function stepView(
  fields: Record<string, string>,
  { name, kind }: GraphStep,
  tenant: string,
  values: Values,
): Promise<StepView> {
  const { status, attempt, place, startedAt, endedAt } = stepWords(fields[`step:${name}`] ?? PENDING);
  const view: StepView = { status, attempt };
  const progress = fields[`progress:${name}`];
  if (progress !== undefined) {
    const { progress: fraction, message } = JSON.parse(progress);
    view.progress = fraction;
    if (message !== undefined) view.message = message;
  }
  const usage = fields[`usage:${name}`];
  if (usage !== undefined) view.usage = parseUsage(usage);
  const items = fields[`items:${name}`];
  const [total = 0, , done = 0, failed = 0, thousandths = 0] = items?.split(" ").map(Number) ?? [];
  if (items !== undefined) {
    // The item that the step has failed of is not counted with those that are done with: a replay begins it anew.
    view.items = { total, done, failed: failed + (status === "failed" ? 1 : 0) };
    // What was told last is not as new, since it is told a few times a second at the most.
    if (kind === "map") view.progress = Number(((done + failed + thousandths / 1_000) / total).toFixed(4));
  }
  const output = fields[`output:${name}`];
  const isShown = output !== undefined && !(isSpread(output) && total > SHOWN_ITEMS);
  if (isShown) view.output = await values.get(tenant, output);
  const error = fields[`error:${name}`];
  if (error !== undefined && status !== "completed") view.error = withoutStack(error);
  if (status === "waiting") Object.assign(view, waiting(place, fields[`due:${name}`], fields.startsAt));
  if (startedAt !== "-") view.startedAt = iso(startedAt);
  if (endedAt !== "-") view.endedAt = iso(endedAt);
  const undo = fields[`undo:${name}`];
  if (undo !== undefined) view.undo = undoView(undo, fields[`undoError:${name}`]);
  return view;
}

function undoView(record: string, error: string | undefined): UndoView {
  const { status, attempt, startedAt, endedAt } = stepWords(record);
  const view: UndoView = { status: status as UndoView["status"], attempt };
  if (error !== undefined && status !== "completed") view.error = withoutStack(error);
  if (startedAt !== "-") view.startedAt = iso(startedAt);
  if (endedAt !== "-") view.endedAt = iso(endedAt);
  return view;
}

const GATE = "gate:";

/** What the place of a waiting step, a timer row or a ticket at its gate, says of what it waits for. */
function waiting(place: string, due: string | undefined, startsAt: string | undefined): Pick<StepView, "waitingFor"> {
  if (place.startsWith(GATE)) {
    const key = keyOfTicket(place.slice(GATE.length));
    return { waitingFor: key === undefined ? { reason: "limit" } : { reason: "limit", key } };
  }
  const row = parseTimerRow(place.slice("timer:".length));
  if (row?.kind !== "wake") return {};
  if (row.reason === "delay") return { waitingFor: { reason: "delay", until: iso(startsAt!) } };
  const until = due === undefined ? {} : { until: iso(due) };
  if (row.reason === "child" || row.reason === "detached") return { waitingFor: { reason: "child", run: row.entry } };
  if (row.reason.startsWith(PARKED)) return { waitingFor: { reason: "tenant_paused" } };
  const reason = row.reason === "timeout" ? "signal" : "sleep";
  return { waitingFor: { reason, ...until } };
}

export function withoutStack(json: string): ErrorRecord {
  const { stack: _stack, ...error } = JSON.parse(json) as ErrorRecord;
  return error;
}

/** What was read on in a run's log. */
export type LogPage =
  | { found: false }
  /** `stale`: the log does not reach back to there, or is not the log that the reader saw. */
  | { found: true; stale: boolean; last: number; status: RunStatus; tenant: string; lines: string[] };
