import { tellingScript } from "./script.ts";

/**
 * Stores a new run that begins with steps of an earlier one, and puts the steps that are run anew into their streams.
 *
 * KEYS  1 run  2 log  3 timers  4 runs by status `queued`  5 runs by workflow  6… the stream of each step that starts,
 *       then runs by tag of each tag
 * ARGV  1 run id  2 workflow  3 version  4 tenant  5 metadata  6 event run.queued  7 the timer row that deletes the blobs
 *       of a run that was not admitted; '' for none  8 when that is due  9 the trace that it is of ('' for none)
 *       10 how many steps start  11… their names, then fields and values that are kept
 * Returns  {Done, 'queued'}; {Already, status} if the run is there (a repeated call); {Stale} if the timer row is somebody
 *          else's by now, or gone and the blobs with it; {WrongType}
 * Events  run.queued
 *
 * It may be refused for lack of memory, and is then as if never called: its first write is an ordinary one.
 */
export const admitRerun = tellingScript(
  "admit-rerun",
  `
local starts, trace = tonumber(ARGV[10]), ARGV[9] ~= '' and ARGV[9]
local _, any = wrong_types('hlzzz' .. string.rep('s', starts) .. string.rep('z', #KEYS - 5 - starts))
if any then return { WRONG_TYPE } end
local id, workflow, version, tenant, metadata, row = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[7]
local status = redis.call('HGET', KEYS[1], 'status')
if status then
  redis.call('ZREM', KEYS[3], row)
  return { ALREADY, status }
end
local now = now_ms()
if row ~= '' and (redis.call('ZSCORE', KEYS[3], row) ~= ARGV[8] or tonumber(ARGV[8]) <= now) then return { STALE } end

local fields = { 'status', 'queued', 'trimmed', '0', 'createdAt', now }
local function add(field, value)
  fields[#fields + 1] = field
  fields[#fields + 1] = value
end
if trace then add('trace', trace) end
for i = 1, starts do
  local entry = add_entry(KEYS[5 + i], trace, 'run', id, 'tenant', tenant, 'input', '')
  add('step:' .. ARGV[10 + i], 'queued 0 0 0 ' .. entry .. ' - - 0')
end
add('workflow', workflow)
add('version', version)
add('tenant', tenant)
add('metadata', metadata)
for i = 11 + starts, #ARGV, 2 do add(ARGV[i], ARGV[i + 1]) end
redis.call('HSET', KEYS[1], unpack(fields))
append(KEYS[1], KEYS[2], nil, { now .. ' ' .. ARGV[6] }, 1)
redis.call('ZADD', KEYS[4], now, id)
redis.call('ZADD', KEYS[5], now, id)
for i = 6 + starts, #KEYS do redis.call('ZADD', KEYS[i], now, id) end
if row ~= '' then redis.call('ZREM', KEYS[3], row) end
return { DONE, 'queued' }
`,
);
