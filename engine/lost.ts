import { type Entry, isUndo } from "./entry.ts";
import { Unwanted } from "./interrupted.ts";
import type { Store } from "./store.ts";
import { LIVE_STATUSES } from "./versions.ts";

/** As far as it matters here. */
interface Losing {
  readonly entry: Entry;
  abort(reason: Error): void;
}

/**
 * Aborts an attempt that has its step no more. Its handler is told whether that goes on elsewhere or the run has ended:
 * only then has it to take back what it has done.
 */
export async function abortLost(attempt: Losing, store: Pick<Store, "readFields">): Promise<void> {
  attempt.abort(new Unwanted({ runEnded: await hasEnded(attempt.entry, store) }));
}

async function hasEnded(entry: Entry, store: Pick<Store, "readFields">): Promise<boolean> {
  try {
    const [status = null] = await store.readFields(entry.run, "status");
    const live: readonly (string | null)[] = isUndo(entry) ? ["undoing"] : LIVE_STATUSES;
    return !live.includes(status);
  } catch {
    // That the lease is lost is known all the same.
    return false;
  }
}
