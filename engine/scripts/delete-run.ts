import { script } from "./script.ts";

/**
 * Removes an ended run: its record, its log, what it has remembered, its dead letters and its rows in the indexes. What is outside of Redis is
 * left to a timer row.
 *
 * KEYS  1 run  2 log  3 timers  4 the tenant's dead letters  5 6 the run that waits for it, and the hash with the record of
 *       the step or item that does (the run itself, if none does)  7 the tenant's ends  8… each index that may hold the run, then the
 *       dead-letter stream of each step of its graph, then the run's memos
 * ARGV  1 run id  2 tenant  3 when it ended, in ms ('' for whenever)  4 the timer row that deletes its blobs ('' for none)
 *       5 in how many ms that is due, if the caller does not do it first  6 the field with the record of what waits for it
 *       ('' for nothing)  7 how many indexes  8 the timer row of its ttl  9 of its deadline  10… the names of the steps
 * Returns  Done; UnknownRun if there is no such run of this tenant; Stale if it has not ended, or not then; Awaited if what
 *          waits for it has yet to read what it came to; WrongType
 */
export const deleteRun = script(
  "delete-run",
  `
local last_index = 7 + tonumber(ARGV[7])
local steps = #KEYS - last_index - 1
local _, any = wrong_types('hlzzhhl' .. string.rep('z', last_index - 7) .. string.rep('s', steps) .. 'h')
if any then return WRONG_TYPE end
local id, row = ARGV[1], ARGV[4]
local got = redis.call('HMGET', KEYS[1], 'status', 'tenant', 'endedAt')
if not got[1] or got[2] ~= ARGV[2] then return UNKNOWN_RUN end
if LIVE[got[1]] or got[1] == 'undoing' or (ARGV[3] ~= '' and ARGV[3] ~= got[3]) then return STALE end
if ARGV[6] ~= '' and LIVE[redis.call('HGET', KEYS[5], 'status') or ''] then
  local waits = string.match(redis.call('HGET', KEYS[6], ARGV[6]) or '', STEP)
  if waits and not ENDED[waits] then return AWAITED end
end
local stream_of = {}
for i = 1, steps do stream_of[ARGV[9 + i]] = KEYS[last_index + i] end

-- ZREM comes first, since it is allowed over the memory limit and so is what follows it.
for i = 8, last_index do redis.call('ZREM', KEYS[i], id) end
redis.call('ZREM', KEYS[3], ARGV[8], ARGV[9])
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  local entry = string.match(field, '^dead:(.+)$')
  if entry then
    local step, letter = string.match(redis.call('HGET', KEYS[1], field), '^(%S+) (%S+)')
    redis.call('ZREM', KEYS[4], id .. '-' .. entry)
    if stream_of[step] then redis.call('XDEL', stream_of[step], letter) end
  end
end
redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[#KEYS])
-- Each run that is deleted has ended: so of a tenant that starts no more, what was noted goes as well.
drop_old_ends(KEYS[7], now_ms())
if row ~= '' then redis.call('ZADD', KEYS[3], now_ms() + tonumber(ARGV[5]), row) end
return DONE
`,
);
