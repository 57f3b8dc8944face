import { newRunId, partitionOf } from "./ids.ts";
import type { NamespaceKeys, PartitionKeys } from "./keys.ts";

/** So many there may be. The number of a namespace is fixed by whoever opens it first. */
export const MOST_PARTITIONS = 1_024;

/** The partitions of a namespace. A run's id says which one it is in; what is found by a key is in that of the key. */
export class Partitions {
  readonly all: readonly PartitionKeys[];

  constructor(keys: NamespaceKeys, count: number) {
    this.all = Array.from({ length: count }, (_, p) => keys.partition(p));
  }

  get count(): number {
    return this.all.length;
  }

  /** The partition that an id carries; the first one for an id that carries none: nothing of it will be there. */
  of(id: string): PartitionKeys {
    return this.all[partitionOf(id) ?? 0] ?? this.all[0]!;
  }

  /** The partition of what is found by a key: a schedule by its name, a deduplication by its digest. */
  keyed(key: string): PartitionKeys {
    return this.all[hashOf(key) % this.count]!;
  }

  /** The id of a new run, in the partition of a key, or in any. */
  newRunId(key?: string): string {
    return newRunId(key === undefined ? Math.floor(Math.random() * this.count) : this.keyed(key).index);
  }
}

/** FNV-1a, of 32 bits: every process puts a key into the same partition, whatever it runs on. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}
