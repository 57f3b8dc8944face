import { partitionOf } from "../../engine/ids.ts";
import { NamespaceKeys, type PartitionKeys } from "../../engine/keys.ts";

/** The keys of the partition that a run is in. */
export function keysOf({ namespace }: { namespace: string }, run: string): PartitionKeys {
  return new NamespaceKeys(namespace).partition(partitionOf(run)!);
}
