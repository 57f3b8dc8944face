import type { Bulk } from "./bulk.ts";
import type { Deletion } from "./deletion.ts";
import { ConflictError, NotFoundError } from "./errors.ts";
import type { RunsApi } from "./millrace.ts";
import type { Ticks } from "./schedules/ticks.ts";
import type { GateStore } from "./store/gate-store.ts";
import type { Continuations } from "./timers.ts";

interface Parts {
  runs: RunsApi;
  ticks: Ticks;
  deletion: Deletion;
  bulk: Bulk;
  gates: GateStore;
}

/** What carries out each kind of timer row whose work is larger than a script. */
export function continuations({ runs, ticks, deletion, bulk, gates }: Parts): Continuations {
  return {
    tick: ticks.goOn,
    delete: deletion.goOn,
    bulk: bulk.goOn,
    async cancel({ tenant, run }) {
      await runs.cancel(run, { tenant }).catch((error: unknown) => {
        // It has ended by itself meanwhile, or is not there any more.
        if (!(error instanceof ConflictError) && !(error instanceof NotFoundError)) throw error;
      });
      return undefined;
    },
    gate: ({ step, ...graph }) => gates.turn(graph, step),
  };
}
