import { expect } from "vitest";
import type { Graph } from "../../engine/graph.ts";
import { NamespaceKeys, type PartitionKeys } from "../../engine/keys.ts";
import type { Client } from "../../engine/redis/client.ts";
import { LaneStore } from "../../engine/store/lane-store.ts";
import { type Found, ReconcileStore } from "../../engine/store/reconcile-store.ts";
import { type Changes, changes } from "./state.ts";
import type { StoreBench } from "./store.ts";

/** What the tests of the reconciler's scripts have in common. */
interface Bench {
  readonly namespace: string;
  readonly client: Client;
  readonly keys: PartitionKeys;
}

/** The reconciler's store over a bench, for runs of this graph. */
export function reconcileStore({ namespace, client, keys }: Bench, graph: Graph): ReconcileStore {
  return new ReconcileStore({
    ...{ client, keys, space: new NamespaceKeys(namespace), lanes: new LaneStore(client) },
    graph: async () => graph,
    openNode: async () => client,
  });
}

export const NOTHING: Found = { places: 0, rows: 0 };
export const ONE_PLACE: Found = { places: 1, rows: 0 };
export const ONE_ROW: Found = { places: 0, rows: 1 };

/** What looking at the run changes, checked to have found so much. */
export async function looked(bench: StoreBench, found: Found, graph = bench.definition.graph): Promise<Changes> {
  const before = await bench.state();
  expect(await reconcileStore(bench, graph).reconcile("default", [bench.run], Date.now())).toEqual(found);
  return changes(before, await bench.state());
}
