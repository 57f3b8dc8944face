import { script } from "./script.ts";

/**
 * Reads a schedule, and what time it is for it. Writes nothing.
 *
 * KEYS  1 schedule
 * Returns  {now in ms, field, value, …}; {now} if there is no such schedule; {WrongType}
 */
export const readSchedule = script(
  "read-schedule",
  `
local _, any = wrong_types('h')
if any then return { WRONG_TYPE } end
local found = redis.call('HGETALL', KEYS[1])
table.insert(found, 1, now_ms())
return found
`,
);
