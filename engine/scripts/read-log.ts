import { script } from "./script.ts";

/**
 * Reads on in a run's log. Writes nothing.
 *
 * KEYS  1 run  2 log
 * ARGV  1 the number after which to read  2 the time of the event of that number, '' if not known  3 how many at most
 * Returns  {Done, the number of the last event, the run's status, its tenant, lines…}
 *          {Stale, the number of the last event, the run's status, its tenant} if the log does not reach back to there, or is not the
 *          log that the reader saw
 *          {UnknownRun}, {WrongType}
 */
export const readLog = script(
  "read-log",
  `
local wrong, any = wrong_types('hl')
if any then return { WRONG_TYPE } end
local got = redis.call('HMGET', KEYS[1], 'status', 'trimmed', 'tenant')
if not got[1] then return { UNKNOWN_RUN } end
local after, tag = tonumber(ARGV[1]), ARGV[2]
local trimmed = tonumber(got[2] or 0)
local last = trimmed + redis.call('LLEN', KEYS[2])
if after < trimmed or after > last then return { STALE, last, got[1], got[3] } end
if tag ~= '' and after > trimmed then
  local seen = redis.call('LINDEX', KEYS[2], after - trimmed - 1)
  if string.match(seen, '^%d+') ~= tag then return { STALE, last, got[1], got[3] } end
end
local from, count = after - trimmed, tonumber(ARGV[3])
-- LRANGE takes an end before the list's beginning for one that is counted from the list's end.
local lines = count > 0 and redis.call('LRANGE', KEYS[2], from, from + count - 1) or {}
return { DONE, last, got[1], got[3], unpack(lines) }
`,
);
