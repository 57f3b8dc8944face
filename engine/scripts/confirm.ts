import { script } from "./script.ts";

/**
 * Writes something that changes nothing, so that a wait on this connection is for the run that is there, too: by the manual `WAIT`
 * waits for what its own connection wrote, and another may have stored the run. (Redis 6.2 to 7.0 wait for all that there was when
 * the connection last ran any command at all, so there it is the call that counts; nothing says that this stays so.)
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
