/** How a script that changes the hash of the subscriptions gives it another version, and pauses one of them. */
export const changeSubscriptions = `
-- The hash of the subscriptions changes: its version is 'COUNT-TIME_MS', so that one that is lost and counted anew is told
-- from the one before.
local function next_version(key)
  local count = string.match(redis.call('HGET', key, 'version') or '', '^(%d+)-') or 0
  return (count + 1) .. '-' .. now_ms()
end

local function pause_subscription(key, name, reason)
  redis.call('HSET', key, 'paused:' .. name, reason .. ' ' .. now_ms(), 'version', next_version(key))
end
`;

/**
 * The subscriptions that a script which appends to runs' logs is called with, taken off the ends of KEYS and ARGV. Behind
 * its own there are
 *
 * KEYS  of each subscription: its stream; the last is the hash of them all
 * ARGV  of each subscription: name, the types that it takes, its workflows, its steps (each with a space on both sides; ''
 *       for all), its tenant ('' for all), how many bytes it may take; then how many there are, and which version of the hash
 *       that is ('' if it has none)
 * Returns  StaleList, and nothing is written, if the hash has another version by now
 *
 * So no event is missed by a subscription once it is stored, whatever the caller knew of it. It costs a script without
 * subscriptions one HGET. What tells them, `tell_subscriptions`, is there only if there are any: it adds events to the streams of
 * those that take them. A stream that has grown past what it may take is paused: it is added to no more until somebody resumes
 * it.
 */
export const takeSubscriptions = `
local told_version, told_count = table.remove(ARGV), table.remove(ARGV)
local subscriptions_key = table.remove(KEYS)
do
  local stored = redis.pcall('HGET', subscriptions_key, 'version')
  if type(stored) == 'table' then
    return redis.error_reply('WRONGTYPE the subscriptions of this namespace are not a hash')
  end
  if (stored or '') ~= told_version then return STALE_LIST end
end
if told_count ~= '0' then
${changeSubscriptions}
local subscriptions, takers_of, run_of_key = {}, {}, {}
for i = 1, tonumber(told_count) do
  local max, tenant, steps = tonumber(table.remove(ARGV)), table.remove(ARGV), table.remove(ARGV)
  local workflows, types, name = table.remove(ARGV), table.remove(ARGV), table.remove(ARGV)
  local one = { name = name, types = types, workflows = workflows, steps = steps, tenant = tenant, max = max,
    key = table.remove(KEYS) }
  -- A key that is none of ours must not keep runs from going on.
  local length = redis.pcall('XLEN', one.key)
  if type(length) == 'number' then one.length = length else one.broken = true end
  subscriptions[i] = one
end

local function takers(kind)
  local found = takers_of[kind]
  if not found then
    found = {}
    for i = 1, #subscriptions do
      if string.find(subscriptions[i].types, ' ' .. kind .. ' ', 1, true) then found[#found + 1] = subscriptions[i] end
    end
    takers_of[kind] = found
  end
  return found
end

local function takes(one, run, line)
  if one.tenant ~= '' and one.tenant ~= run[1] then return false end
  if one.workflows ~= '' and not string.find(one.workflows, ' ' .. run[2] .. ' ', 1, true) then return false end
  if one.steps == '' then return true end
  local step = string.match(line, '^[%d~]+ {"type":"[%w_.]+","step":"([^"]*)"')
  return step and string.find(one.steps, ' ' .. step .. ' ', 1, true)
end

-- The lines are the n events of a run after number 'seq'.
function tell_subscriptions(run_key, lines, n, seq)
  for i = 1, n do
    local line = lines[i]
    local found = takers(string.match(line, '^[%d~]+ {"type":"([%w_.]+)"') or '')
    for k = 1, #found do
      local one, run = found[k], run_of_key[run_key]
      if not run then
        run = redis.call('HMGET', run_key, 'tenant', 'workflow', 'version')
        run.id = string.match(run_key, '}:run:(.+)$')
        run_of_key[run_key] = run
      end
      if not one.paused and takes(one, run, line) then
        if one.broken then
          one.paused = true
          pause_subscription(subscriptions_key, one.name, 'wrong_type')
        else
          redis.call('XADD', one.key, '*', 'run', run.id, 'tenant', run[1], 'workflow', run[2], 'version', run[3],
            'seq', seq + i, 'line', line)
          one.length = one.length + 1
          if (one.length % LOG_LOOK == 0 or #line > NUDGE_BYTES) and redis.call('MEMORY', 'USAGE', one.key) > one.max then
            one.paused = true
            pause_subscription(subscriptions_key, one.name, 'full')
          end
        end
      end
    end
  end
end
end
`;
