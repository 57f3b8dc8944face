import { endRun } from "./parts/end-run.ts";
import { script } from "./script.ts";

/**
 * Fails a run that has not kept its limit: every live step is taken from its place.
 *
 * KEYS and ARGV  as in `parts/end-run.ts`: the status `failed`, the event run.failed, and of its own
 *       7 limit: `ttl` or `deadline`  8 error as JSON
 * Returns  Done; Stale if it has started, for the ttl; RunEnded; UnknownRun; Moved; WrongType
 * Events  run.failed, unless something is undone first; and `expired RUN` on the control channel, for the workers
 */
export const expire = script(
  "expire",
  `${endRun}
if not LIVE[got[1]] then return RUN_ENDED end
-- A run that was replayed is queued, and had started; one that was parked first is waiting, and has not.
local unstarted = got[1] == 'queued' or redis.call('HEXISTS', KEYS[1], 'unstarted') == 1
if ARGV[7] == 'ttl' and (not unstarted or got[4]) then return STALE end
if was_moved() then return MOVED end
return end_run('failed', 'expired', ARGV[8])
`,
);
