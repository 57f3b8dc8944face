import { limitKey } from "./limits.ts";
import type { AnyWorkflow } from "./workflow.ts";

/**
 * Whose a new run is, for the limits of those of its first steps that call their handler as soon as they may. A step whose
 * key cannot be said is left out: it is asked again on delivery, where it fails as any step does.
 *
 * @param json the run's input
 */
export async function firstGateKeys({ steps }: AnyWorkflow, json: string): Promise<ReadonlyMap<string, string>> {
  const keys = new Map<string, string>();
  for (const { name, after, limits, when, work } of steps) {
    if (limits === undefined || after.length > 0 || when !== undefined || work.kind !== "task") continue;
    try {
      keys.set(name, await limitKey(limits, JSON.parse(json)));
    } catch {}
  }
  return keys;
}
