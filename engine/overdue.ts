import type { Graphs } from "./runs.ts";
import type { StartStore } from "./store/start-store.ts";
import { Reply } from "./store.ts";
import type { ContinuedRow } from "./timer-rows.ts";
import type { Continuation } from "./timers.ts";

const AFTER_WRONG_TYPE_MS = 60_000;

/** Ends runs that have not kept their time to live, or their deadline. */
export function overdue(starts: StartStore, graphs: Graphs): Continuation<Extract<ContinuedRow, { kind: "overdue" }>> {
  return async ({ run, workflow, version, limit }) => {
    const graph = await graphs.of(workflow, Number(version));
    let reply = await starts.expire(run, graph, limit);
    if (reply === Reply.Moved) {
      const now = await starts.version(run);
      reply = now === undefined ? Reply.UnknownRun : await starts.expire(run, await graphs.of(workflow, now), limit);
    }
    if (reply === Reply.Moved) return 0;
    return reply === Reply.WrongType ? AFTER_WRONG_TYPE_MS : undefined;
  };
}
