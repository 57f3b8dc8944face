import { script } from "./script.ts";

/**
 * Says whether anything is at work or due, at one instant. Writes nothing. For the test kit alone: it asks a server of
 * its own for the names of keys, and of all that workers do only their heartbeats go on meanwhile.
 *
 * KEYS  1 timers  2 paused  3… of each subscription that has a consumer: its stream, and its redeliveries
 * ARGV  1… patterns of the streams of all steps
 * Returns  {the time of runs in ms, how many timer rows and redeliveries are due, the time of the next one that is not and
 *          does more than to drop what was used or '', the stream and its number of entries, of each stream that has some;
 *          of a step that is paused those that are at work count}
 */
export const rest = script(
  "rest",
  `
local now = now_ms()
local found = { now, 0, '' }
-- What was used is shown for months: nothing waits for its end.
local function next_of(timers)
  for at = 0, redis.call('ZCARD', timers), 100 do
    local rows = redis.call('ZRANGEBYSCORE', timers, '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', at, 100)
    for i = 1, #rows, 2 do
      if string.sub(rows[i], 1, 6) ~= 'usage|' then return rows[i + 1] end
    end
  end
end
local function look(timers)
  found[2] = found[2] + redis.call('ZCOUNT', timers, '-inf', now)
  local coming = next_of(timers)
  if coming and (found[3] == '' or tonumber(coming) < tonumber(found[3])) then found[3] = coming end
end
look(KEYS[1])
for i = 3, #KEYS, 2 do
  look(KEYS[i + 1])
  local entries = redis.call('XLEN', KEYS[i])
  if entries > 0 then
    found[#found + 1] = KEYS[i]
    found[#found + 1] = entries
  end
end
for i = 1, #ARGV do
  for _, key in ipairs(redis.call('KEYS', ARGV[i])) do
    local entries = redis.call('XLEN', key)
    local workflow, step = string.match(key, ':%l+:([^:@]+)@[^:]+:([^:]+)')
    if entries > 0 and (redis.call('HEXISTS', KEYS[2], 'workflow:' .. workflow) == 1
        or redis.call('HEXISTS', KEYS[2], 'step:' .. workflow .. ':' .. step) == 1) then
      local pending = redis.pcall('XPENDING', key, GROUP)
      entries = pending.err and 0 or pending[1]
    end
    if entries > 0 then
      found[#found + 1] = key
      found[#found + 1] = entries
    end
  end
end
return found
`,
);
