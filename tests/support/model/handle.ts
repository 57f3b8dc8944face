import type { ModelEntry } from "./state.ts";

/** An attempt: an entry in a consumer's hands, with the delivery that put it there. */
export interface Handle {
  entry: ModelEntry;
  consumer: string;
  count: number;
}

/** How many workers died of what is in somebody's hands, this delivery included. */
export const crashesOf = ({ entry, count }: Handle) => entry.crashes + count - 1;

export const attemptOf = (handle: Handle) => handle.entry.failures + crashesOf(handle) + 1;
