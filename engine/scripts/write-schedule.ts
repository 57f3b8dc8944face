import { script } from "./script.ts";

/**
 * Writes the whole of a schedule, lists it and arms its timer row, if it is still the one that the caller read. The run that
 * its ticks wait for remembers the row, which its end makes due; if it has ended by now, the row is due at once.
 *
 * KEYS  1 schedule  2 the tenant's schedules  3 timers  4 the run that ticks wait for, if any do
 * ARGV  1 the revision that was read, 0 for none  2 name  3 when it was made, ms  4 the row that goes, '' for none  5 the
 *       row that stays or comes, '' for none  6 when that is due, ms; '' to leave it as it is  7… fields and values
 * Returns  Done; Stale if it is another by now, or gone; WrongType
 *
 * A new one may be refused for lack of memory, and is then as if never asked for. A change of one is not: its first write is
 * ZREM or DEL, which are allowed over the memory limit, and so is what follows.
 */
export const writeSchedule = script(
  "write-schedule",
  `
local _, any = wrong_types('hzzh')
if any then return WRONG_TYPE end
if (redis.call('HGET', KEYS[1], 'revision') or '0') ~= ARGV[1] then return STALE end
if ARGV[1] ~= '0' then
  if ARGV[4] ~= '' then redis.call('ZREM', KEYS[3], ARGV[4]) end
  redis.call('DEL', KEYS[1])
end
redis.call('HSET', KEYS[1], unpack(ARGV, 7))
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[2])
local due = ARGV[6]
if KEYS[4] then
  local status = redis.call('HGET', KEYS[4], 'status') or ''
  if LIVE[status] or status == 'undoing' then
    redis.call('HSET', KEYS[4], 'tick', ARGV[5])
  else
    due = now_ms()
  end
end
if ARGV[5] ~= '' and due ~= '' then redis.call('ZADD', KEYS[3], due, ARGV[5]) end
return DONE
`,
);
