import { tellingScript } from "./script.ts";

/**
 * Stores a new run and puts its first steps into their streams, or where it starts later, has timer rows wait for them. A
 * first step of which it is known whose it is passes its gate here, so that it stands behind no other key's backlog.
 *
 * KEYS  1 run  2 log  3 runs by status `queued`  4 runs by workflow  5… the stream of each first step
 *       and if some pass a gate, after those: timers, runs by status `waiting`, and the gate of each of these
 *       and with options, after those: timers, delayed, runs by tag of each tag
 *       of a child run, last: the run that waits for it, and the hash with the record of the step or item that does
 * ARGV  1 run id  2 workflow  3 version  4 tenant  5 input  6 metadata ('' for none)  7 the input for entries ('' to
 *       have it read from the run)  8 event run.queued  9 `counted` if the graph is more than a chain of tasks: how many steps
 *       are at work is counted then  10 what waits for it: the beginning of a timer row, up to its entry ('' for nothing)
 *       11 priority ('' for normal)  12 the trace that it is of ('' for none)  13 how many first steps, and how many of them
 *       pass a gate  15… of each: name, and the limits' key ('' if it passes no gate)
 *       and with options, after those: when it starts (`+MS` from now, the ms since 1970, '' for now), ttl in ms, deadline
 *       in ms ('' for none), tags as JSON ('' for none), budget ('' for none), timer row of the ttl, of the deadline, of each first step
 *       of a child run, last: the entry of what waits for it; the field of that one's record; the field that remembers the
 *       child, so that it is cancelled with it ('' if it is not to be)
 * Returns  {Done, status}; {Already, status} if the run is there (a repeated call); {Stale} if what is to wait for it is at
 *          another place by now, or its run has ended; {WrongType}
 * Events  run.queued; run.waiting, if all of its first steps wait at gates
 *
 * It may be refused for lack of memory, and is then as if never called: its first write is an ordinary one.
 */
export const admit = tellingScript(
  "admit",
  `
local firsts, gated, is_child = tonumber(ARGV[13]), tonumber(ARGV[14]), ARGV[10] ~= ''
local keys, args = #KEYS - (is_child and 2 or 0), #ARGV - (is_child and 3 or 0)
local gates_at = 4 + firsts
local timers_at = gates_at + (gated > 0 and 2 + 7 * gated or 0) + 1
local gate_kinds = gated > 0 and 'zz' .. string.rep('hzzzsss', gated) or ''
local kinds = string.sub('zh' .. string.rep('z', keys), 1, keys - timers_at + 1)
local wrong, any = wrong_types('hlzz' .. string.rep('s', firsts) .. gate_kinds .. kinds .. 'hh')
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
local timers, delayed, options = KEYS[timers_at], KEYS[timers_at + 1], 14 + 2 * firsts
local start, starts = args > options and ARGV[options + 1] or '', now
if start ~= '' then starts = math.max(now, tonumber(start) + (string.sub(start, 1, 1) == '+' and now or 0)) end

-- What every commit reads comes first: a small hash is searched from its start.
local fields = { 'status', 'queued', 'trimmed', '0', 'createdAt', now }
local function set(field, value)
  fields[#fields + 1] = field
  fields[#fields + 1] = value
end
local trace = ARGV[12] ~= '' and ARGV[12]
if trace then set('trace', trace) end
local gates, waiting, lane = {}, 0, ARGV[11] == 'high' and 1 or ARGV[11] == 'low' and 3 or 2
for i = 1, firsts do
  local step, key, record, gate = ARGV[13 + 2 * i], ARGV[14 + 2 * i], nil, nil
  if key ~= '' then
    gate = open_gate(gates_at + 3 + 7 * #gates, workflow .. '@' .. version, step)
    gates[#gates + 1] = gate
    -- No worker has said yet what the limits are.
    if not next(gate.own) and not next(gate.all) then gate = nil end
  end
  if starts > now then
    local row = ARGV[options + 7 + i]
    redis.call('ZADD', timers, starts, row)
    redis.call('HINCRBY', delayed, workflow .. '@' .. version .. ':' .. step, 1)
    record = 'waiting 0 0 0 timer:' .. row .. ' - - 0'
  elseif gate then
    local place = enter_gate(gate, lane, key, id, '', tenant, ARGV[7], '0', '0', now, trace)
    local waits = string.sub(place, 1, 5) == 'gate:'
    if waits then waiting = waiting + 1 end
    record = (waits and 'waiting' or 'queued') .. ' 0 0 0 ' .. place .. ' - - 0'
  else
    local entry = add_entry(KEYS[4 + i], trace, 'run', id, 'tenant', tenant, 'input', ARGV[7])
    record = 'queued 0 0 0 ' .. entry .. ' - - 0'
  end
  set('step:' .. step, record)
end
set('workflow', workflow)
set('version', version)
set('tenant', tenant)
set('input', input)
if metadata ~= '' then set('metadata', metadata) end
if ARGV[9] ~= '' then set('active', starts > now and 0 or firsts - waiting) end
if ARGV[10] ~= '' then set('parent', ARGV[10]) end
if ARGV[11] ~= '' then set('priority', ARGV[11]) end
if args > options then
  if starts > now then set('startsAt', starts) end
  for i, name in ipairs({ 'ttlMs', 'deadlineMs' }) do
    local limit = ARGV[options + 1 + i]
    if limit ~= '' then
      set(name, limit)
      redis.call('ZADD', timers, starts + tonumber(limit), ARGV[options + 5 + i])
    end
  end
  if ARGV[options + 4] ~= '' then set('tags', ARGV[options + 4]) end
  if ARGV[options + 5] ~= '' then set('budget', ARGV[options + 5]) end
  for i = timers_at + 2, keys do redis.call('ZADD', KEYS[i], now, id) end
end
local index, lines = KEYS[3], { now .. ' ' .. ARGV[8] }
if waiting == firsts then
  index, fields[2], lines[2] = KEYS[gates_at + 2], 'waiting', now .. ' {"type":"run.waiting"}'
  set('unstarted', '1')
end
redis.call('HSET', KEYS[1], unpack(fields))
append(KEYS[1], KEYS[2], nil, lines, #lines)
redis.call('ZADD', index, now, id)
redis.call('ZADD', KEYS[4], now, id)
for i = 1, #gates do
  if gates[i].touched then turn_gate(gates[i], KEYS[gates_at + 1], now) end
end
return { DONE, fields[2] }
`,
);
