import { script } from "./script.ts";

/**
 * Puts off a run that waits to start, and gives it another input.
 *
 * KEYS  1 run  2 timers
 * ARGV  1 for how many ms  2 how many ms after it was made it starts at the latest  3 version  4 input
 *       5 metadata ('' to leave it)  6 timer row of its ttl  7 of its deadline  8… the names of its first steps
 * Returns  {Done, the input so far}; {Stale} if it has started or is of another version; {RunEnded}; {UnknownRun};
 *          {WrongType}
 */
export const postpone = script(
  "postpone",
  `
local wrong, any = wrong_types('hz')
if any then return { WRONG_TYPE } end
local got = redis.call('HMGET', KEYS[1], 'status', 'createdAt', 'version', 'input', 'ttlMs', 'deadlineMs')
if not got[1] then return { UNKNOWN_RUN } end
if not LIVE[got[1]] then return { RUN_ENDED } end
if got[3] ~= ARGV[3] then return { STALE } end
local rows = {}
for i = 8, #ARGV do
  local record = redis.call('HGET', KEYS[1], 'step:' .. ARGV[i]) or ''
  local row = string.match(record, '^waiting 0 0 0 timer:(wake|delay|%S+) ')
  if not row or not redis.call('ZSCORE', KEYS[2], row) then return { STALE } end
  rows[#rows + 1] = row
end

local now = now_ms()
local starts = math.min(now + tonumber(ARGV[1]), got[2] + tonumber(ARGV[2]))
for _, row in ipairs(rows) do redis.call('ZADD', KEYS[2], 'XX', starts, row) end
if got[5] then redis.call('ZADD', KEYS[2], 'XX', starts + got[5], ARGV[6]) end
if got[6] then redis.call('ZADD', KEYS[2], 'XX', starts + got[6], ARGV[7]) end
redis.call('HSET', KEYS[1], 'input', ARGV[4], 'startsAt', starts)
if ARGV[5] ~= '' then redis.call('HSET', KEYS[1], 'metadata', ARGV[5]) end
return { DONE, got[4] }
`,
);
