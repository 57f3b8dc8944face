import { firstSteps, type Graph } from "../graph.ts";
import type { PartitionKeys } from "../keys.ts";
import type { CheckedTerms } from "../start-options.ts";
import { encodeTimerRow } from "../timer-rows.ts";

/** The options' part of the KEYS and ARGV of the script `admit`: nothing for a run without any. */
export function termsArgs(
  keys: PartitionKeys,
  run: { id: string; graph: Graph; tenant: string },
  { start, ttlMs, deadlineMs, tags = [] }: CheckedTerms,
): { keys: string[]; args: (string | number)[] } {
  if (start === undefined && ttlMs === undefined && deadlineMs === undefined && tags.length === 0)
    return { keys: [], args: [] };
  const { id, graph } = run;
  const rows = firstSteps(graph).map((step) => delayRow(run, step));
  const when = start === undefined ? "" : "inMs" in start ? `+${start.inMs}` : start.atMs;
  const tagged = tags.length === 0 ? "" : JSON.stringify(tags);
  return {
    keys: [keys.timers(), keys.delayed(), ...tags.map((tag) => keys.runsByTag(run.tenant, tag))],
    args: [when, ttlMs ?? "", deadlineMs ?? "", tagged, ...limitRows(id, graph), ...rows],
  };
}

/** The rows of a run's time to live and of its deadline. */
export function limitRows(run: string, { workflow, version }: Graph): [ttl: string, deadline: string] {
  const row = (limit: string) => encodeTimerRow({ kind: "expire", run, workflow, version: `${version}`, limit });
  return [row("ttl"), row("deadline")];
}

/** The row that puts a first step into its stream when the run is to start. */
function delayRow({ id, graph, tenant }: { id: string; graph: Graph; tenant: string }, step: string): string {
  const of = { tenant, run: id, workflow: graph.workflow, version: `${graph.version}`, step, item: "" };
  return encodeTimerRow({ kind: "wake", reason: "delay", ...of, entry: "" });
}
