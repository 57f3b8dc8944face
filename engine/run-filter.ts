import type { PartitionKeys } from "./keys.ts";
import type { RunFilter } from "./millrace.ts";
import type { Records } from "./records.ts";
import { RUN_STATUSES, type RunSummary } from "./views.ts";

/**
 * The keys of the indexes to read for a list of runs. With several filters the smallest index is read, and the others are
 * applied to what it gives; without any, those of all statuses together.
 */
export async function smallestIndex(
  records: Records,
  partitions: readonly PartitionKeys[],
  tenant: string,
  { workflow, status, tag }: RunFilter,
): Promise<string[]> {
  const indexes: string[][] = [];
  if (tag !== undefined) indexes.push(partitions.map((keys) => keys.runsByTag(tenant, tag)));
  if (workflow !== undefined) indexes.push(partitions.map((keys) => keys.runsByWorkflow(tenant, workflow)));
  if (status !== undefined) indexes.push(partitions.map((keys) => keys.runsByStatus(tenant, status)));
  if (indexes.length === 0)
    return partitions.flatMap((keys) => RUN_STATUSES.map((each) => keys.runsByStatus(tenant, each)));
  if (indexes.length === 1) return indexes[0]!;
  const sizes = await records.sizes(indexes.flat());
  const totals = indexes.map((keys, i) => sum(sizes.slice(i * keys.length, (i + 1) * keys.length)));
  return indexes[totals.indexOf(Math.min(...totals))]!;
}

/** Whether a run is one that was asked for. */
export function fits(run: RunSummary, { workflow, status, tag }: RunFilter): boolean {
  if (workflow !== undefined && run.workflow !== workflow) return false;
  if (status !== undefined && run.status !== status) return false;
  return tag === undefined || (run.tags ?? []).includes(tag);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
