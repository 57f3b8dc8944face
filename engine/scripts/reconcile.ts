import { script } from "./script.ts";

/**
 * Puts back what is lost of up to 100 runs: live steps that are at no place any more, rows of indexes, and timer rows. What is
 * where it should be stays as it is, and so does whatever has moved on since it was read.
 *
 * KEYS  1 timers  2 delayed  then whatever is named below by its number
 * ARGV  1 a letter per key: its type  2 how many gates  3 how many runs  4 how many places, up to 100  5 how many rows
 *       per gate: its first key, `workflow@version`, step
 *       per run: id; its key; status and version as they were read; the first of its tenant's keys of runs by status `queued`
 *         `running` `waiting`; how many indexes it belongs in, their keys; how many limits it is held to, and of each: its timer
 *         row, the row that follows when it is past, ms when it is due
 *       per place: which run; what it is; key and field of its record; the record as it was read; its item ('' for none); key
 *         of the step's stream; which gate (0 for none); what the step was woken by ('' for nothing); its field in delayed; ms
 *         when it is due ('' for now); another key (0 for none). What it is:
 *           entry   a stream entry: lost if it is not there, or neither pending nor beyond what the group was given
 *           gate    a ticket: lost if it neither waits nor has let its step in
 *           row     a timer row: lost if it is not set
 *           parked  a timer row: lost if it is neither set nor in the other key, what its tenant has parked
 *           child   a timer row: lost if it is not set, and the other key, the run that is waited for, has ended or is gone
 *           items   live items: lost if the other key, which has them, is gone: the step begins anew
 *       per row: a timer row that must be set, ms when it is due
 * Returns  a Reply per run, then one per place: Done: it was lost, and is put back; Already: it was not; Stale; RunEnded;
 *          UnknownRun: what still listed it does no more; WrongType
 *
 * A lost entry, ticket or list of items becomes a new entry in the step's stream, before its gate, and is charged nothing but
 * what is pending of it. The first write is HDEL, which is allowed over the memory limit, and so is all that follows.
 */
export const reconcile = script(
  "reconcile",
  `
local call, at = redis.call, 5
local wrong = wrong_types(ARGV[1])
if wrong[1] or wrong[2] then return redis.error_reply('WRONGTYPE the timers of this namespace are not a sorted set') end
local now, replies, is_written = now_ms(), {}, false
local function take()
  at = at + 1
  return ARGV[at]
end
local function number() return tonumber(take()) end
local function begin_to_write()
  if not is_written then call('HDEL', KEYS[2], '') end
  is_written = true
end
local function write(...)
  begin_to_write()
  return call(...)
end

-- Sets a row, unless it is set. True if it was not.
local function arm(row, due)
  if call('ZSCORE', KEYS[1], row) then return false end
  write('ZADD', KEYS[1], due == '' and now or due, row)
  return true
end

local gates, runs, given = {}, {}, {}
for i = 1, tonumber(ARGV[2]) do
  local first, version, step = number(), take(), take()
  local is_whole = true
  for k = first, first + 6 do is_whole = is_whole and not wrong[k] end
  gates[i] = is_whole and open_gate(first, version, step)
end

-- The last entry of a stream that its group was given; false while there is no group: then every entry is yet to come.
local function last_given(key)
  if given[key] == nil then
    given[key] = false
    local groups = redis.pcall('XINFO', 'GROUPS', key)
    for i = 1, groups.err and 0 or #groups do
      local group = {}
      for k = 1, #groups[i], 2 do group[groups[i][k]] = groups[i][k + 1] end
      if group.name == GROUP then given[key] = group['last-delivered-id'] end
    end
  end
  return given[key]
end

local function is_later(entry, other)
  local ms, number = string.match(entry, '^(%d+)%-(%d+)$')
  local other_ms, other_number = string.match(other, '^(%d+)%-(%d+)$')
  if ms ~= other_ms then return tonumber(ms) > tonumber(other_ms) end
  return tonumber(number) > tonumber(other_number)
end

-- Whether somebody is at an entry, or will come to it; and how many workers it has taken down.
local function is_held(key, entry)
  local is_there, last = call('XRANGE', key, entry, entry)[1] ~= nil, last_given(key)
  if is_there and (not last or is_later(entry, last)) then return true, 0 end
  local pending = last and call('XPENDING', key, GROUP, entry, entry, 1)[1]
  return is_there and pending and true or false, pending and pending[4] - 1 or 0
end

-- Whether the slot that is held at a gate comes with an entry, and that is held as well.
local function is_let_in(gate, id, item, entry)
  local key, with, lane = slot_of(gate, id, item)
  if not key or entry and entry ~= with then return false end
  return (is_held(gate.slots[tonumber(lane)], with))
end

local function reconcile_run()
  local run = { id = take(), key = number() }
  local status, version, first = take(), take(), number()
  local listed, limits = {}, {}
  for i = 1, number() do listed[i] = number() end
  for i = 1, number() do limits[i] = { row = take(), past = take(), due = take() } end
  local key = KEYS[run.key]
  if wrong[run.key] then return run, WRONG_TYPE end
  for k = first, first + 2 do
    if wrong[k] then return run, WRONG_TYPE end
  end
  local got = call('HMGET', key, 'status', 'version', 'tenant', 'createdAt', 'active', 'trace')
  run.status, run.tenant, run.created, run.active, run.trace = got[1], got[3], got[4], got[5], got[6]
  run.index = { queued = KEYS[first], running = KEYS[first + 1], waiting = KEYS[first + 2] }
  local own = run.index[run.status == 'undoing' and 'running' or run.status or '']
  local reply = got[1] and ALREADY or UNKNOWN_RUN
  if got[1] and (got[1] ~= status or got[2] ~= version) then
    run.status = nil
    return run, STALE
  end
  for _, index in pairs(run.index) do
    if index ~= own and call('ZSCORE', index, run.id) then
      write('ZREM', index, run.id)
      if got[1] then reply = DONE end
    end
  end
  if not got[1] then return run, reply end
  for i = 1, #listed do
    if not wrong[listed[i]] and not call('ZSCORE', KEYS[listed[i]], run.id) then
      write('ZADD', KEYS[listed[i]], run.created, run.id)
      reply = DONE
    end
  end
  for i = 1, LIVE[status] and #limits or 0 do
    if not call('ZSCORE', KEYS[1], limits[i].past) and arm(limits[i].row, limits[i].due) then reply = DONE end
  end
  return run, reply
end
for i = 1, tonumber(ARGV[3]) do runs[i], replies[i] = reconcile_run() end

-- Gives a step or an item a new entry in its stream, and the run the status that goes with that.
local function put_back(run, place, crashed)
  local was, attempt, failures, crashes, old, started = string.match(place.record, STEP)
  crashes = crashes + crashed
  begin_to_write()
  if place.gate then clear_gate(place.gate, old, run.id, place.item, now) end
  if string.match(old, '^%d+%-%d+$') then
    redis.pcall('XACK', place.stream, GROUP, old)
    call('XDEL', place.stream, old)
  end
  local fields = { 'run', run.id, 'tenant', run.tenant, 'input', '' }
  local function add(name, value)
    fields[#fields + 1] = name
    fields[#fields + 1] = value
  end
  if failures ~= '0' or crashes ~= 0 or place.item ~= '' or place.woken ~= '' then
    add('failures', failures)
    add('crashes', crashes)
  end
  if place.item ~= '' then add('item', place.item) end
  if place.woken ~= '' then add('wake', place.woken) end
  local entry = add_entry(place.stream, run.trace, unpack(fields))
  if place.woken == '' or place.woken == 'undo' then started = '-' end
  call('HSET', place.holder, place.field, table.concat({ 'queued', attempt, failures, crashes, entry, started, '- 0' }, ' '))
  if was ~= 'waiting' or place.item ~= '' or place.woken == 'undo' then return DONE end
  if run.active then call('HINCRBY', KEYS[run.key], 'active', 1) end
  if run.status == 'waiting' then
    run.status = call('HDEL', KEYS[run.key], 'unstarted') == 1 and 'queued' or 'running'
    call('HSET', KEYS[run.key], 'status', run.status)
    call('ZREM', run.index.waiting, run.id)
    call('ZADD', run.index[run.status], run.created, run.id)
  end
  return DONE
end

local lost = {}
function lost.entry(run, place, id)
  local gate = place.gate
  if gate and is_let_in(gate, run.id, place.item, id) then return ALREADY end
  local held, crashed = is_held(place.stream, id)
  if held then return ALREADY end
  return put_back(run, place, crashed)
end

function lost.gate(run, place, id)
  local gate, ticket = place.gate, string.sub(id, 6)
  if call('ZSCORE', gate.waiting, ticket) then
    local key = string.match(ticket, TICKET)
    gate.seen = gate.seen or {}
    -- It may have lost its turn; what has none because its slots are all taken gets none.
    if not gate.seen[key] and not call('ZSCORE', gate.turns, key) then
      begin_to_write()
      place_key(gate, key, now)
    end
    gate.seen[key] = true
    return ALREADY
  end
  if is_let_in(gate, run.id, place.item) then return ALREADY end
  return put_back(run, place, 0)
end

local function set_again(place, row)
  if not arm(row, place.due) then return ALREADY end
  call('HINCRBY', KEYS[2], place.delayed, 1)
  return DONE
end

function lost.row(_, place, id) return set_again(place, string.sub(id, 7)) end

function lost.parked(_, place, id)
  if call('ZSCORE', place.other, string.sub(id, 7)) then return ALREADY end
  return set_again(place, string.sub(id, 7))
end

function lost.child(_, place, id)
  local status = call('HGET', place.other, 'status')
  if LIVE[status or ''] or status == 'undoing' then return ALREADY end
  return arm(string.sub(id, 7), '') and DONE or ALREADY
end

function lost.items(run, place)
  if call('EXISTS', place.other) == 1 then return ALREADY end
  write('HDEL', KEYS[run.key], 'items:' .. string.sub(place.field, 6))
  return put_back(run, place, 0)
end

local function reconcile_place()
  local run, what, holder, field = runs[number()], take(), number(), take()
  local place = { field = field, record = take(), item = take() }
  local stream, gate, other = number(), number(), nil
  place.woken, place.delayed, place.due, other = take(), take(), take(), number()
  if wrong[holder] or wrong[stream] or wrong[other] or gate > 0 and not gates[gate] then return WRONG_TYPE end
  if not run.status then return STALE end
  local is_undo = place.woken == 'undo'
  if is_undo and run.status ~= 'undoing' or not is_undo and not LIVE[run.status] then return RUN_ENDED end
  place.holder, place.stream, place.gate, place.other = KEYS[holder], KEYS[stream], gates[gate], KEYS[other]
  if call('HGET', place.holder, field) ~= place.record then return STALE end
  local _, _, _, _, id = string.match(place.record, STEP)
  return lost[what](run, place, id)
end
for _ = 1, tonumber(ARGV[4]) do replies[#replies + 1] = reconcile_place() end
for _ = 1, tonumber(ARGV[5]) do arm(take(), take()) end
for i = 1, #gates do
  if gates[i] and gates[i].touched then turn_gate(gates[i], KEYS[1], now) end
end
return replies
`,
);
