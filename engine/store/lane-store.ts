import { type Graph, workflowVersion } from "../graph.ts";
import type { PartitionKeys } from "../keys.ts";
import type { Client } from "../redis/client.ts";
import { openLane } from "../scripts/open-lane.ts";
import type { Priority } from "../views.ts";
import { refuseWrongType } from "./refusals.ts";

/** A lane that this process has opened is taken to be open for so long: a failover may have lost it. */
const TRUST_MS = 10_000;

/** The lanes of partitions beside the normal one, which is always there. */
export class LaneStore {
  readonly #client: Client;
  /** By partition and field, when it was last seen to be open. At most two for each workflow version of this process. */
  readonly #openedAt = new Map<string, number>();

  constructor(client: Client) {
    this.#client = client;
  }

  /** Sees to it that the steps of a workflow version have that lane: before anything is put into it. @throws MillraceError */
  async open(keys: PartitionKeys, graph: Graph, lane: Priority): Promise<void> {
    if (lane === "normal") return;
    const field = laneField(graph, lane);
    const known = `${keys.index} ${field}`;
    const now = performance.now();
    if (now - (this.#openedAt.get(known) ?? Number.NEGATIVE_INFINITY) < TRUST_MS) return;
    const streams = graph.steps.map((step) => keys.step(graph, step.name, lane));
    const reply = await this.#client.run(openLane, [keys.lanes(), ...streams], [field, keys.control()]);
    refuseWrongType(reply, `lane ${field}`);
    this.#openedAt.set(known, now);
  }

  /** The fields of all lanes that are in use in a partition. */
  async used(keys: PartitionKeys): Promise<string[]> {
    return (await this.#client.call("HKEYS", keys.lanes())) as string[];
  }
}

/** `workflow@version:lane`, as the lanes in use are listed. */
export function laneField(version: { workflow: string; version: number | string }, lane: Priority): string {
  return `${workflowVersion(version)}:${lane}`;
}
