import { script } from "./script.ts";

/**
 * Reads a run's record and how long its log is, at one instant. Writes nothing. (A transaction would do as well, but over
 * the memory limit Redis refuses to queue one.)
 *
 * KEYS  1 run  2 log
 * Returns  {length of the log, field, value, …}; {0} if there is no such run; {WrongType}
 */
export const readRun = script(
  "read-run",
  `
local _, any = wrong_types('hl')
if any then return { WRONG_TYPE } end
local found = redis.call('HGETALL', KEYS[1])
table.insert(found, 1, redis.call('LLEN', KEYS[2]))
return found
`,
);
