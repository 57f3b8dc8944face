import { script } from "./script.ts";

/**
 * Stores a new run and puts its first steps into their streams.
 *
 * KEYS  1 run  2 log  3 runs by status `queued`  4 runs by workflow  5… the stream of each first step
 * ARGV  1 run id  2 workflow  3 version  4 tenant  5 input  6 metadata ('' for none)  7 the input for entries ('' to
 *       have it read from the run)  8 event run.queued  9 `counted` if the graph is more than a chain of tasks: how many steps
 *       are at work is counted then  10 what waits for it: the beginning of a timer row, up to its entry ('' for nothing)
 *       11 budget ('' for none)  12… the names of the first steps
 * Returns  {Done, 'queued'}; {Already, status} if the run is there (a repeated call); {WrongType}
 * Events  run.queued
 *
 * It may be refused for lack of memory, and is then as if never called: its first write is an ordinary one.
 */
export const admit = script(
  "admit",
  `
local firsts = #KEYS - 4
local wrong, any = wrong_types('hlzz' .. string.rep('s', firsts))
if any then return { WRONG_TYPE } end
local status = redis.call('HGET', KEYS[1], 'status')
if status then return { ALREADY, status } end

local id, workflow, version, tenant, input, metadata = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local now = now_ms()
-- What every commit reads comes first: a small hash is searched from its start.
local fields = { 'status', 'queued', 'trimmed', '0', 'createdAt', now }
local function set(field, value)
  fields[#fields + 1] = field
  fields[#fields + 1] = value
end
for i = 1, firsts do
  local entry = redis.call('XADD', KEYS[4 + i], '*', 'run', id, 'tenant', tenant, 'input', ARGV[7])
  set('step:' .. ARGV[11 + i], 'queued 0 0 0 ' .. entry .. ' - - 0')
end
set('workflow', workflow)
set('version', version)
set('tenant', tenant)
set('input', input)
if metadata ~= '' then set('metadata', metadata) end
if ARGV[9] ~= '' then set('active', firsts) end
if ARGV[10] ~= '' then set('parent', ARGV[10]) end
if ARGV[11] ~= '' then set('budget', ARGV[11]) end
redis.call('HSET', KEYS[1], unpack(fields))
append(KEYS[1], KEYS[2], nil, { now .. ' ' .. ARGV[8] }, 1)
redis.call('ZADD', KEYS[3], now, id)
redis.call('ZADD', KEYS[4], now, id)
return { DONE, 'queued' }
`,
);
