import { encodeEvent } from "../events.ts";
import { gatePlaces } from "../gate-places.ts";
import { type Graph, workflowVersion } from "../graph.ts";
import type { PartitionKeys } from "../keys.ts";
import { stepPlaces } from "../step-places.ts";
import type { Priority, RunStatus } from "../views.ts";
import { limitRows } from "./start-terms.ts";

/** What the scripts that end a run from outside are given in common: KEYS, and the ARGV before and after their own. */
export function endingArgs(
  keys: PartitionKeys,
  { run, graph, tenant, lane }: { run: string; graph: Graph; tenant: string; lane: Priority },
  status: RunStatus,
  event: Parameters<typeof encodeEvent>[0],
): { keys: string[]; args: string[]; steps: string[] } {
  const places = stepPlaces(keys, run, graph, lane);
  const gates = gatePlaces(keys, graph);
  return {
    keys: [
      keys.run(run),
      keys.log(run),
      keys.timers(),
      keys.delayed(),
      ...["queued", "running", "waiting", status].map((each) => keys.runsByStatus(tenant, each)),
      keys.parked(tenant),
      keys.ends(tenant),
      ...places.keys,
      ...gates.keys,
    ],
    args: [run, keys.control(), encodeEvent(event), workflowVersion(graph), ...limitRows(run, graph)],
    steps: [...places.args, ...gates.args, `${gates.args.length}`],
  };
}
