import { endRun } from "./parts/end-run.ts";
import { script } from "./script.ts";

/**
 * Ends a run by wish: every live step is taken from its place. If something is to be undone, the last undo ends it.
 *
 * KEYS and ARGV  as in `parts/end-run.ts`: the status `cancelled`, the event run.cancelled, and no ARGV of its own
 * Returns  Done; Already if it was cancelled before, or is being undone; RunEnded if it ended otherwise; UnknownRun; Moved;
 *          WrongType
 * Events  run.cancelled, unless something is undone first; and `cancelled RUN` on the control channel, for the workers
 */
export const cancel = script(
  "cancel",
  `${endRun}
if got[1] == 'cancelled' or got[1] == 'undoing' then return ALREADY end
if not LIVE[got[1]] then return RUN_ENDED end
if was_moved() then return MOVED end
return end_run('cancelled', 'cancelled')
`,
);
