import type { PauseStore } from "./store/pause-store.ts";
import type { Continuations } from "./timers.ts";

/** What carries out each kind of timer row whose work is larger than a script. */
export function continuations(pauses: PauseStore): Continuations {
  return {
    unpark: async ({ tenant }) => ((await pauses.unpark(tenant)) > 0 ? 0 : undefined),
  };
}
