import type { Bulk } from "./bulk.ts";
import type { Deletion } from "./deletion.ts";
import { ConflictError, NotFoundError } from "./errors.ts";
import type { PartitionKeys } from "./keys.ts";
import type { RunsApi } from "./millrace.ts";
import { overdue } from "./overdue.ts";
import type { Graphs } from "./runs.ts";
import type { Ticks } from "./schedules/ticks.ts";
import type { GateStore } from "./store/gate-store.ts";
import type { PauseStore } from "./store/pause-store.ts";
import type { StartStore } from "./store/start-store.ts";
import type { Continuations } from "./timers.ts";
import type { Uploads } from "./uploads/uploads.ts";

/** What continuations work with. */
interface Parts {
  runs: RunsApi;
  starts: StartStore;
  graphs: Graphs;
  ticks: Ticks;
  deletion: Deletion;
  bulk: Bulk;
  uploads: Uploads;
  pauses: PauseStore;
  gates: GateStore;
  /** The partition whose timer rows these are. */
  keys: PartitionKeys;
}

/** What carries out each kind of timer row whose work is larger than a script. */
export function continuations({
  runs,
  starts,
  graphs,
  ticks,
  deletion,
  bulk,
  uploads,
  pauses,
  gates,
  keys,
}: Parts): Continuations {
  return {
    overdue: overdue(starts, graphs),
    tick: ticks.goOn,
    unpark: async ({ tenant }) => ((await pauses.unpark(tenant)) > 0 ? 0 : undefined),
    delete: deletion.goOn,
    bulk: bulk.goOn,
    upload: uploads.goOn,
    async cancel({ tenant, run }) {
      await runs.cancel(run, { tenant }).catch((error: unknown) => {
        // It has ended by itself meanwhile, or is not there any more.
        if (!(error instanceof ConflictError) && !(error instanceof NotFoundError)) throw error;
      });
      return undefined;
    },
    gate: ({ step, ...graph }) => gates.turn(keys, graph, step),
  };
}
