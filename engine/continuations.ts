import type { Bulk } from "./bulk.ts";
import type { Deletion } from "./deletion.ts";
import type { Continuations } from "./timers.ts";

/** What carries out each kind of timer row whose work is larger than a script. */
export function continuations({ deletion, bulk }: { deletion: Deletion; bulk: Bulk }): Continuations {
  return { delete: deletion.goOn, bulk: bulk.goOn };
}
