import { script } from "./script.ts";

/**
 * Stores a new run and puts its first steps into their streams, or where it starts later, has timer rows wait for them.
 *
 * KEYS  1 run  2 log  3 runs by status `queued`  4 runs by workflow  5… the stream of each first step
 *       and with options, after those: timers, delayed, runs by tag of each tag
 *       of a child run, last: the run that waits for it, and the hash with the record of the step or item that does
 * ARGV  1 run id  2 workflow  3 version  4 tenant  5 input  6 metadata ('' for none)  7 the input for entries ('' to
 *       have it read from the run)  8 event run.queued  9 `counted` if the graph is more than a chain of tasks: how many steps
 *       are at work is counted then  10 what waits for it: the beginning of a timer row, up to its entry ('' for nothing)
 *       11 priority ('' for normal)  12 how many first steps, and their names
 *       and with options, after those: when it starts (`+MS` from now, the ms since 1970, '' for now), ttl in ms, deadline
 *       in ms ('' for none), tags as JSON ('' for none), timer row of the ttl, of the deadline, of each first step
 *       of a child run, last: the entry of what waits for it; the field of that one's record; the field that remembers the
 *       child, so that it is cancelled with it ('' if it is not to be)
 * Returns  {Done, 'queued'}; {Already, status} if the run is there (a repeated call); {Stale} if what is to wait for it is at
 *          another place by now, or its run has ended; {WrongType}
 * Events  run.queued
 *
 * It may be refused for lack of memory, and is then as if never called: its first write is an ordinary one.
 */
export const admit = script(
  "admit",
  `
local firsts, is_child = tonumber(ARGV[12]), ARGV[10] ~= ''
local keys, args = #KEYS - (is_child and 2 or 0), #ARGV - (is_child and 3 or 0)
local kinds = string.sub('zh' .. string.rep('z', keys), 1, keys - 4 - firsts)
local wrong, any = wrong_types('hlzz' .. string.rep('s', firsts) .. kinds .. 'hh')
if any then return { WRONG_TYPE } end
local status = redis.call('HGET', KEYS[1], 'status')
if status then return { ALREADY, status } end
if is_child then
  local parent, holder, entry, field, remember = KEYS[#KEYS - 1], KEYS[#KEYS], ARGV[#ARGV - 2], ARGV[#ARGV - 1], ARGV[#ARGV]
  local _, _, _, _, place = string.match(redis.call('HGET', holder, field) or '', STEP)
  if not LIVE[redis.call('HGET', parent, 'status') or ''] or place ~= entry then return { STALE } end
  if remember ~= '' then redis.call('HSET', holder, remember, ARGV[1]) end
end

local id, workflow, version, tenant, input, metadata = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local now = now_ms()
local timers, delayed, options = KEYS[5 + firsts], KEYS[6 + firsts], 12 + firsts
local start, starts = args > options and ARGV[options + 1] or '', now
if start ~= '' then starts = math.max(now, tonumber(start) + (string.sub(start, 1, 1) == '+' and now or 0)) end

-- What every commit reads comes first: a small hash is searched from its start.
local fields = { 'status', 'queued', 'trimmed', '0', 'createdAt', now }
local function set(field, value)
  fields[#fields + 1] = field
  fields[#fields + 1] = value
end
for i = 1, firsts do
  local step, record = ARGV[12 + i], nil
  if starts > now then
    local row = ARGV[options + 6 + i]
    redis.call('ZADD', timers, starts, row)
    redis.call('HINCRBY', delayed, workflow .. '@' .. version .. ':' .. step, 1)
    record = 'waiting 0 0 0 timer:' .. row .. ' - - 0'
  else
    local entry = redis.call('XADD', KEYS[4 + i], '*', 'run', id, 'tenant', tenant, 'input', ARGV[7])
    record = 'queued 0 0 0 ' .. entry .. ' - - 0'
  end
  set('step:' .. step, record)
end
set('workflow', workflow)
set('version', version)
set('tenant', tenant)
set('input', input)
if metadata ~= '' then set('metadata', metadata) end
if ARGV[9] ~= '' then set('active', starts > now and 0 or firsts) end
if ARGV[10] ~= '' then set('parent', ARGV[10]) end
if ARGV[11] ~= '' then set('priority', ARGV[11]) end
if args > options then
  if starts > now then set('startsAt', starts) end
  for i, name in ipairs({ 'ttlMs', 'deadlineMs' }) do
    local limit = ARGV[options + 1 + i]
    if limit ~= '' then
      set(name, limit)
      redis.call('ZADD', timers, starts + tonumber(limit), ARGV[options + 4 + i])
    end
  end
  if ARGV[options + 4] ~= '' then set('tags', ARGV[options + 4]) end
  for i = 7 + firsts, keys do redis.call('ZADD', KEYS[i], now, id) end
end
redis.call('HSET', KEYS[1], unpack(fields))
append(KEYS[1], KEYS[2], nil, { now .. ' ' .. ARGV[8] }, 1)
redis.call('ZADD', KEYS[3], now, id)
redis.call('ZADD', KEYS[4], now, id)
return { DONE, 'queued' }
`,
);
