import type { WatchMessage } from "../../engine/index.ts";

/** Where a client goes on that has seen this of a run; a reset is where the next event counts from. */
export function runCursor(last: WatchMessage | undefined, after: string | undefined): string {
  if (last === undefined) return after ?? "0";
  return last.type === "reset" ? String(last.seq) : last.cursor;
}
