import { script } from "./script.ts";

/**
 * Writes something that changes nothing, so that a wait on this connection is for the run that is there, too: `WAIT` waits for
 * what its own connection wrote last, and another may have stored the run.
 *
 * KEYS  1 run
 * Returns  Done; UnknownRun; WrongType
 */
export const confirm = script(
  "confirm",
  `
local wrong, any = wrong_types('h')
if any then return WRONG_TYPE end
local status = redis.call('HGET', KEYS[1], 'status')
if not status then return UNKNOWN_RUN end
redis.call('HSET', KEYS[1], 'status', status)
return DONE
`,
);
