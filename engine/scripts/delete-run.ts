import { script } from "./script.ts";

/**
 * Removes an ended run: its record, its log, its dead letters and its rows in the indexes. What is outside of Redis is
 * left to a timer row.
 *
 * KEYS  1 run  2 log  3 timers  4 the tenant's dead letters  5… each index that may hold the run, then the dead-letter
 *       stream of each step of its graph
 * ARGV  1 run id  2 tenant  3 when it ended, in ms ('' for whenever)  4 the timer row that deletes its blobs ('' for none)
 *       5 in how many ms that is due, if the caller does not do it first  6 how many indexes
 *       7… the names of the steps
 * Returns  Done; UnknownRun if there is no such run of this tenant; Stale if it has not ended, or not then; WrongType
 */
export const deleteRun = script(
  "delete-run",
  `
local last_index = 4 + tonumber(ARGV[6])
local steps = #KEYS - last_index
local _, any = wrong_types('hl' .. string.rep('z', last_index - 2) .. string.rep('s', steps))
if any then return WRONG_TYPE end
local id, row = ARGV[1], ARGV[4]
local got = redis.call('HMGET', KEYS[1], 'status', 'tenant', 'endedAt')
if not got[1] or got[2] ~= ARGV[2] then return UNKNOWN_RUN end
if LIVE[got[1]] or got[1] == 'undoing' or (ARGV[3] ~= '' and ARGV[3] ~= got[3]) then return STALE end
local stream_of = {}
for i = 1, steps do stream_of[ARGV[6 + i]] = KEYS[last_index + i] end

-- ZREM comes first, since it is allowed over the memory limit and so is what follows it.
for i = 5, last_index do redis.call('ZREM', KEYS[i], id) end
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  local entry = string.match(field, '^dead:(.+)$')
  if entry then
    local step, letter = string.match(redis.call('HGET', KEYS[1], field), '^(%S+) (%S+)')
    redis.call('ZREM', KEYS[4], id .. '-' .. entry)
    if stream_of[step] then redis.call('XDEL', stream_of[step], letter) end
  end
end
redis.call('UNLINK', KEYS[1], KEYS[2])
if row ~= '' then redis.call('ZADD', KEYS[3], now_ms() + tonumber(ARGV[5]), row) end
return DONE
`,
);
