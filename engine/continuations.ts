import { ConflictError, NotFoundError } from "./errors.ts";
import type { RunsApi } from "./millrace.ts";
import type { Ticks } from "./schedules/ticks.ts";
import type { PauseStore } from "./store/pause-store.ts";
import type { Continuations } from "./timers.ts";

interface ContinuationsParts {
  runs: RunsApi;
  ticks: Ticks;
  pauses: PauseStore;
}

/** What carries out each kind of timer row whose work is larger than a script. */
export function continuations({ runs, ticks, pauses }: ContinuationsParts): Continuations {
  return {
    tick: ticks.goOn,
    unpark: async ({ tenant }) => ((await pauses.unpark(tenant)) > 0 ? 0 : undefined),
    async cancel({ tenant, run }) {
      await runs.cancel(run, { tenant }).catch((error: unknown) => {
        // It has ended by itself meanwhile, or is not there any more.
        if (!(error instanceof ConflictError) && !(error instanceof NotFoundError)) throw error;
      });
      return undefined;
    },
  };
}
