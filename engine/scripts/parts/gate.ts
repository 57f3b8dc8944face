/**
 * What scripts do at the gates of steps with limits. A gate is seven keys: a hash (`limits`, counters, `h RUN ITEM` what
 * holds a slot, `r KEY` and `t KEY` what a key has used up of its rate and its tokens), the tickets that wait, in the order
 * of their key and then of their number, `KEY|RUN|ITEM` of what holds a slot, the keys that wait for their turn, and the
 * streams of those that have a slot, by lane.
 *
 * A key's score among the turns is its turn, if it has one that waits and may start by its own limits; or the ms when it is to
 * be looked at again. It is nowhere if its slots are all taken (the end of one looks again) or nothing is to be told of it.
 */
export const gate = `
local LATER, AT_ONCE, LOOK_FOR_LOST_MS, LANE_AHEAD = 1000000000000, 100, 60000, 1000000
local ALL_KEYS = '*'

local function open_gate(first, version, step)
  local gate = { hash = KEYS[first], waiting = KEYS[first + 1], held = KEYS[first + 2], turns = KEYS[first + 3],
    slots = { KEYS[first + 4], KEYS[first + 5], KEYS[first + 6] }, row = 'gate|' .. string.gsub(version, '@', '|') .. '|' .. step, own = {}, all = {} }
  local n = 0
  for word in string.gmatch(redis.call('HGET', gate.hash, 'limits') or '', '%S+') do
    n = n + 1
    if n <= 4 then gate.own[n] = tonumber(word) else gate.all[n - 4] = tonumber(word) end
  end
  return gate
end

-- The groups of starts that still count, 'END:COUNT', with how many they are; those of one twentieth of a window are one group.
local function recent_starts(gate, limits, key, now)
  local groups, total = {}, 0
  for ends, count in string.gmatch(redis.call('HGET', gate.hash, 'r ' .. key) or '', '(%d+):(%d+)') do
    if ends + limits[3] > now then
      groups[#groups + 1] = { tonumber(ends), tonumber(count) }
      total = total + count
    end
  end
  return groups, total
end

-- What is left of a key's tokens: it may be below 0.
local function tokens_left(gate, limits, key, now)
  local left, at = string.match(redis.call('HGET', gate.hash, 't ' .. key) or '', '^(%S+) (%d+)$')
  if not left then return limits[4] end
  return math.min(limits[4], left + math.max(0, now - at) * limits[4] / 60000)
end

-- In how many ms one more of a key may start; nil while its slots are all taken.
local function gate_wait(gate, limits, key, now)
  if limits[1] then
    local held = key == ALL_KEYS and redis.call('ZCARD', gate.held)
      or redis.call('ZLEXCOUNT', gate.held, '[' .. key .. '|', '(' .. key .. '}')
    if held >= limits[1] then return nil end
  end
  local wait = 0
  if limits[2] then
    local groups, total = recent_starts(gate, limits, key, now)
    for i = 1, #groups do
      if total < limits[2] then break end
      total = total - groups[i][2]
      wait = groups[i][1] + limits[3] - now
    end
  end
  if limits[4] then
    local left = tokens_left(gate, limits, key, now)
    if left < 1 then wait = math.max(wait, math.ceil((1 - left) * 60000 / limits[4])) end
  end
  return wait
end

local function gate_started(gate, limits, key, now)
  if not limits[2] then return end
  local groups = recent_starts(gate, limits, key, now)
  local width = math.ceil(limits[3] / 20)
  local ends, last, text = (math.floor(now / width) + 1) * width, groups[#groups], {}
  if last and last[1] >= ends then last[2] = last[2] + 1 else groups[#groups + 1] = { ends, 1 } end
  for i = 1, #groups do text[i] = string.format('%.0f:%d', groups[i][1], groups[i][2]) end
  redis.call('HSET', gate.hash, 'r ' .. key, table.concat(text, ' '))
end

-- In how many ms nothing is to be remembered of a key any more.
local function gate_rest(gate, key, now)
  local limits, rest = gate.own, 0
  if limits[2] then
    local groups = recent_starts(gate, limits, key, now)
    if #groups > 0 then rest = groups[#groups][1] + limits[3] - now end
  end
  if limits[4] then
    rest = math.max(rest, math.ceil((limits[4] - tokens_left(gate, limits, key, now)) * 60000 / limits[4]))
  end
  return rest
end

-- Puts a key where it belongs among the turns, after anything that may have changed that.
local function place_key(gate, key, now)
  gate.touched = true
  local score = tonumber(redis.call('ZSCORE', gate.turns, key) or LATER)
  if score < LATER then return end
  local at, limits = nil, gate.own
  if redis.call('ZRANGEBYLEX', gate.waiting, '[' .. key .. '|', '(' .. key .. '}', 'LIMIT', 0, 1)[1] then
    local wait = gate_wait(gate, limits, key, now)
    if wait == 0 then at = redis.call('HINCRBY', gate.hash, 'turn', 1) elseif wait then at = now + wait end
  elseif limits[2] or limits[4] then
    local rest = gate_rest(gate, key, now)
    if rest > 0 then at = now + rest else redis.call('HDEL', gate.hash, 'r ' .. key, 't ' .. key) end
  end
  if at then redis.call('ZADD', gate.turns, at, key) else redis.call('ZREM', gate.turns, key) end
end

-- Puts an entry of one that has a slot into the stream of those.
local function give_slot(gate, lane, key, run, item, tenant, input, failures, crashes, now, trace)
  local entry, slots = nil, gate.slots[lane]
  if item == '' and failures == '0' and crashes == '0' then
    entry = add_entry(slots, trace, 'run', run, 'tenant', tenant, 'input', input)
  else
    entry = add_entry(slots, trace, 'run', run, 'tenant', tenant, 'input', input, 'failures', failures, 'crashes', crashes,
      'item', item)
  end
  redis.call('HSET', gate.hash, 'h ' .. run .. ' ' .. item, key .. ' ' .. entry .. ' ' .. lane)
  redis.call('ZADD', gate.held, 0, key .. '|' .. run .. '|' .. item)
  gate_started(gate, gate.own, key, now)
  gate_started(gate, gate.all, ALL_KEYS, now)
  return entry
end

-- The key whose slot a step or an item holds, the entry that it got it with, and the lane of that.
local function slot_of(gate, run, item)
  return string.match(redis.call('HGET', gate.hash, 'h ' .. run .. ' ' .. item) or '', '^(%S+) (%S+) (%d)$')
end

local function leave_gate(gate, run, item, now)
  local key = slot_of(gate, run, item)
  if not key then return end
  redis.call('HDEL', gate.hash, 'h ' .. run .. ' ' .. item)
  redis.call('ZREM', gate.held, key .. '|' .. run .. '|' .. item)
  place_key(gate, key, now)
end

-- Charges tokens to the key whose slot is held.
local function spend_at_gate(gate, run, item, tokens, now)
  local key = slot_of(gate, run, item)
  if not key then return end
  local function charge(limits, name)
    if not limits[4] then return end
    local left = tokens_left(gate, limits, name, now) - tokens
    redis.call('HSET', gate.hash, 't ' .. name, string.format('%.3f %.0f', left, now))
  end
  charge(gate.own, key)
  charge(gate.all, ALL_KEYS)
  place_key(gate, key, now)
end

-- Gives a slot, or a place among those that wait for one: an entry's id, or 'gate:TICKET'. What was tried before goes first;
-- of the others of its key, what is of a higher lane passes up to a million that came before it.
local function enter_gate(gate, lane, key, run, item, tenant, input, failures, crashes, now, trace)
  leave_gate(gate, run, item, now)
  local mine = redis.call('ZRANGEBYLEX', gate.waiting, '[' .. key .. '|', '(' .. key .. '}', 'LIMIT', 0, 1)[1]
  if not mine and not redis.call('ZRANGEBYSCORE', gate.turns, '-inf', '(' .. LATER, 'LIMIT', 0, 1)[1]
    and gate_wait(gate, gate.own, key, now) == 0 and gate_wait(gate, gate.all, ALL_KEYS, now) == 0 then
    local entry = give_slot(gate, lane, key, run, item, tenant, input, failures, crashes, now, trace)
    place_key(gate, key, now)
    return entry
  end
  local order = (failures == '0' and crashes == '0') and 1 or 0
  local number = string.format('%d%013.0f', order, redis.call('HINCRBY', gate.hash, 'tickets', 1) + (lane - 1) * LANE_AHEAD)
  local ticket = table.concat({ key, number, run, item, tenant, failures, crashes, lane, trace or nil }, '|')
  redis.call('ZADD', gate.waiting, 0, ticket)
  place_key(gate, key, now)
  return 'gate:' .. ticket
end

local TICKET = '^([^|]*)|%d+|([^|]+)|([^|]*)|([^|]+)|(%d+)|(%d+)|(%d)|?([^|]*)$'

-- Starts those whose turn it is, round the keys, up to 100; and has a timer row look again when time alone can change
-- something. True if that row is news.
local function turn_gate(gate, timers_key, now)
  gate.touched = false
  local due = redis.call('ZRANGEBYSCORE', gate.turns, LATER, now, 'LIMIT', 0, AT_ONCE)
  for i = 1, #due do place_key(gate, due[i], now) end
  local again = #due == AT_ONCE and now or nil
  for look = 1, AT_ONCE + 1 do
    local key = redis.call('ZRANGEBYSCORE', gate.turns, '-inf', '(' .. LATER, 'LIMIT', 0, 1)[1]
    if not key then break end
    local wait = look > AT_ONCE and 0 or gate_wait(gate, gate.all, ALL_KEYS, now)
    if wait ~= 0 or look > AT_ONCE then
      again = again or wait and now + wait
      break
    end
    redis.call('ZREM', gate.turns, key)
    local ticket = redis.call('ZRANGEBYLEX', gate.waiting, '[' .. key .. '|', '(' .. key .. '}', 'LIMIT', 0, 1)[1]
    if ticket and gate_wait(gate, gate.own, key, now) == 0 then
      redis.call('ZREM', gate.waiting, ticket)
      local _, run, item, tenant, failures, crashes, lane, trace = string.match(ticket, TICKET)
      give_slot(gate, tonumber(lane), key, run, item, tenant, '', failures, crashes, now, trace ~= '' and trace)
    end
    place_key(gate, key, now)
  end
  local later = redis.call('ZRANGEBYSCORE', gate.turns, LATER, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)[2]
  if later then again = math.min(again or later, tonumber(later)) end
  gate.touched = false
  -- What waits for a slot is looked at now and then all the same: its holder may be lost.
  if not again and redis.call('ZCARD', gate.waiting) > 0 then
    redis.call('ZADD', timers_key, 'NX', now + LOOK_FOR_LOST_MS, gate.row)
    return false
  end
  return again ~= nil and redis.call('ZADD', timers_key, 'LT', 'CH', again, gate.row) == 1
end

-- Takes a step or an item off its gate, wherever it is there.
local function clear_gate(gate, place, run, item, now)
  local ticket = string.match(place, '^gate:(.+)$')
  if ticket and redis.call('ZREM', gate.waiting, ticket) == 1 then
    return place_key(gate, string.match(ticket, TICKET), now)
  end
  local key, entry, lane = slot_of(gate, run, item)
  if ticket then place = entry end
  if key and place and string.match(place, '^%d+%-%d+$') then
    redis.pcall('XACK', gate.slots[tonumber(lane)], GROUP, place)
    redis.call('XDEL', gate.slots[tonumber(lane)], place)
  end
  leave_gate(gate, run, item, now)
end
`;
