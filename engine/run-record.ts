import type { BlobStore } from "./blobs/blob-store.ts";
import type { ErrorRecord } from "./errors.ts";
import type { Graph } from "./graph.ts";
import { loadValue } from "./payload.ts";
import type { RunStatus, RunSummary, RunView, StepStatus, StepView } from "./views.ts";

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

/** The steps' records: the words of the field `step:NAME`. */
function stepWords(fields: Record<string, string>, step: string) {
  const [status, attempt, , , , startedAt, endedAt] = (fields[`step:${step}`] ?? "pending 0 0 0 - - - 0").split(" ");
  return { status: status as StepStatus, attempt: Number(attempt), startedAt: startedAt!, endedAt: endedAt! };
}

/** What lists show. */
export function summaryOf({ id, fields, logLength }: RunRecord): RunSummary {
  const summary: RunSummary = {
    id,
    workflow: fields.workflow!,
    version: Number(fields.version),
    status: fields.status as RunStatus,
    seq: Number(fields.trimmed ?? 0) + logLength,
    createdAt: iso(fields.createdAt!),
  };
  if (fields.error !== undefined) summary.error = withoutStack(fields.error);
  const startable = Number(fields.startsAt ?? fields.createdAt);
  if (fields.startsAt !== undefined) summary.startsAt = iso(startable);
  if (fields.ttlMs !== undefined) summary.expiresAt = iso(startable + Number(fields.ttlMs));
  if (fields.deadlineMs !== undefined) summary.deadlineAt = iso(startable + Number(fields.deadlineMs));
  if (fields.endedAt !== undefined) summary.endedAt = iso(fields.endedAt);
  if (fields.tags !== undefined) summary.tags = JSON.parse(fields.tags);
  if (fields.metadata !== undefined) summary.metadata = JSON.parse(fields.metadata);
  return summary;
}

/**
 * The whole view of a run. Values in the blob store are read from there.
 *
 * @throws FatalError `value_lost` if one is gone
 */
export async function viewOf(record: RunRecord, graph: Graph, blobs: BlobStore): Promise<RunView> {
  const { fields } = record;
  const tenant = fields.tenant!;
  const steps: Record<string, StepView> = {};
  for (const { name } of graph.steps) steps[name] = await stepView(fields, name, tenant, blobs);
  const input = await loadValue(blobs, tenant, fields.input!);
  const view: RunView = { ...summaryOf(record), input, steps };
  if (fields.result !== undefined) view.output = steps[fields.result]?.output;
  return view;
}

async function stepView(
  fields: Record<string, string>,
  name: string,
  tenant: string,
  blobs: BlobStore,
): Promise<StepView> {
  const { status, attempt, startedAt, endedAt } = stepWords(fields, name);
  const view: StepView = { status, attempt };
  const progress = fields[`progress:${name}`];
  if (progress !== undefined) {
    const { progress: fraction, message } = JSON.parse(progress);
    view.progress = fraction;
    if (message !== undefined) view.message = message;
  }
  const output = fields[`output:${name}`];
  if (output !== undefined) view.output = await loadValue(blobs, tenant, output);
  const error = fields[`error:${name}`];
  if (error !== undefined && status !== "completed") view.error = withoutStack(error);
  if (startedAt !== "-") view.startedAt = iso(startedAt);
  if (endedAt !== "-") view.endedAt = iso(endedAt);
  return view;
}

function withoutStack(json: string): ErrorRecord {
  const { stack: _stack, ...error } = JSON.parse(json) as ErrorRecord;
  return error;
}
