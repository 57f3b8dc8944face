import { script } from "./script.ts";

/**
 * Deletes a schedule and its timer row, if it is still the one that the caller read.
 *
 * KEYS  1 schedule  2 the tenant's schedules  3 timers
 * ARGV  1 the revision that was read  2 name  3 its timer row
 * Returns  Done; Stale if it is another by now, or gone; WrongType
 */
export const deleteSchedule = script(
  "delete-schedule",
  `
local _, any = wrong_types('hzz')
if any then return WRONG_TYPE end
if redis.call('HGET', KEYS[1], 'revision') ~= ARGV[1] then return STALE end
redis.call('ZREM', KEYS[3], ARGV[3])
redis.call('ZREM', KEYS[2], ARGV[2])
redis.call('DEL', KEYS[1])
return DONE
`,
);
