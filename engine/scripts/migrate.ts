import { tellingScript } from "./script.ts";

/**
 * Moves a run that nobody works on to another version of its workflow.
 *
 * KEYS  1 run  2 log  3 timers  4 delayed  5 6 7 runs by status `queued` `running` `waiting`  8… streams, and then gates
 * ARGV  1 run id  2 status, version and tenant as they were read  5 the status from now on
 *       6 how many gates
 *       then of each step that has a record or is to have one: how many; field, what it was read as ('' for none)
 *       of each live step that is queued, or waits at its gate: how many; number of its stream's key, its place, the number of
 *         its gate ('' for none), `workflow@version`, step: with a slot, its entry is in the stream of those, and the slot
 *         becomes free
 *       of each other live step: how many; timer row, its field in delayed
 *       of each limit of the run: how many; its timer row, and the one of the new version
 *       of each step that is live from now on: how many; field, its words but for the place and what follows it, then one of
 *         `anew`: number of the new stream's key
 *         `entry`: number of the new stream's key, the place so far: what woke the step is kept
 *         `row`: the row so far, the row from now on, the new field in delayed: due when it was
 *       and behind each the words from `started` on
 *       of each step that is done from now on: how many; field, status
 *       fields that are set: how many; field, value
 *       fields that are gone: how many; field
 *       events: how many; event
 * Returns  Done; UnknownRun; RunEnded; Stale if the run is not as it was read; NotOwner if an entry is in a worker's hands;
 *          WrongType
 * Events  as given
 *
 * The first write is ZREM, which is allowed over the memory limit, and so is all that follows.
 */
export const migrate = tellingScript(
  "migrate",
  `
local gates = tonumber(ARGV[6])
local _, any = wrong_types('hlzhzzz' .. string.rep('s', #KEYS - 7 - 7 * gates) .. string.rep('hzzzsss', gates))
if any then return WRONG_TYPE end
local run, timers, delayed = KEYS[1], KEYS[3], KEYS[4]
local got = redis.call('HMGET', run, 'status', 'version', 'tenant', 'createdAt', 'trimmed', 'trace')
if not got[1] then return UNKNOWN_RUN end
if not LIVE[got[1]] then return RUN_ENDED end
for i = 1, 3 do
  if got[i] ~= ARGV[1 + i] then return STALE end
end
local at = 6
local function take()
  at = at + 1
  return ARGV[at]
end
local function number() return tonumber(take()) end

for _ = 1, number() do
  local field, was = take(), take()
  if (redis.call('HGET', run, field) or '') ~= was then return STALE end
end
local entries, rows = {}, {}
for i = 1, number() do
  local stream, place, gate_number, version, step = KEYS[number()], take(), take(), take(), take()
  local gate = gate_number ~= '' and open_gate(#KEYS - 7 * gates + 7 * gate_number - 6, version, step)
  local entry = string.sub(place, 1, 5) ~= 'gate:' and place
  if gate then
    local key, given, lane = slot_of(gate, ARGV[1], '')
    if key then stream, entry = gate.slots[tonumber(lane)], entry or given end
  end
  local pending = entry and redis.pcall('XPENDING', stream, GROUP, entry, entry, 1)
  if pending and not pending.err and pending[1] then return NOT_OWNER end
  entries[i] = { stream = stream, id = entry, place = place, gate = gate }
  local found = entry and redis.call('XRANGE', stream, entry, entry)[1]
  for k = 1, found and #found[2] or 0, 2 do
    if found[2][k] == 'wake' then entries[place] = found[2][k + 1] end
  end
end
for i = 1, number() do
  local row, field = take(), take()
  rows[i] = { text = row, delayed = field }
  rows[row] = redis.call('ZSCORE', timers, row)
end

for i = 5, 7 do redis.call('ZREM', KEYS[i], ARGV[1]) end
for _ = 1, number() do
  local row, new_row = take(), take()
  local due = redis.call('ZSCORE', timers, row)
  if due then
    redis.call('ZREM', timers, row)
    redis.call('ZADD', timers, due, new_row)
  end
end
local now = now_ms()
for _, entry in ipairs(entries) do
  if entry.id then redis.call('XDEL', entry.stream, entry.id) end
  if entry.gate then
    clear_gate(entry.gate, entry.place, ARGV[1], '', now)
    turn_gate(entry.gate, timers, now)
  end
end
for _, row in ipairs(rows) do
  if redis.call('ZREM', timers, row.text) == 1 then redis.call('HINCRBY', delayed, row.delayed, -1) end
end

local index = { queued = KEYS[5], running = KEYS[6], waiting = KEYS[7] }
for _ = 1, number() do
  local field, words, how, place = take(), take(), take(), nil
  if how == 'row' then
    local row, new_row, new_field = take(), take(), take()
    place = 'timer:' .. new_row
    if rows[row] then
      redis.call('ZADD', timers, rows[row], new_row)
      redis.call('HINCRBY', delayed, new_field, 1)
    end
  else
    local _, failures, crashes = string.match(words, '^%S+ (%S+) (%S+) (%S+)$')
    local entry = { 'run', ARGV[1], 'tenant', got[3], 'input', '', 'failures', failures, 'crashes', crashes }
    local stream = KEYS[number()]
    local wake = how == 'entry' and entries[take()]
    if wake then
      entry[11], entry[12] = 'wake', wake
    end
    place = add_entry(stream, got[6], unpack(entry))
  end
  redis.call('HSET', run, field, words .. ' ' .. place .. ' ' .. take())
end
for _ = 1, number() do
  local field, status = take(), take()
  redis.call('HSET', run, field, status .. ' 0 0 0 - - ' .. now .. ' 0')
end
for _ = 1, number() do
  local field, value = take(), take()
  redis.call('HSET', run, field, value)
end
for _ = 1, number() do redis.call('HDEL', run, take()) end

local status = ARGV[5]
redis.call('HSET', run, 'status', status)
redis.call('ZADD', index[status], got[4], ARGV[1])
local lines = {}
for i = 1, number() do lines[i] = now .. ' ' .. take() end
append(run, KEYS[2], got[5], lines, #lines)
return DONE
`,
);
