import { script } from "./script.ts";

/**
 * Says whether anything is at work or due, at one instant. Writes nothing. For the test kit alone: it asks a server of
 * its own for the names of keys, and of all that workers do only their heartbeats go on meanwhile.
 *
 * KEYS  1 timers  2 paused
 * ARGV  1… patterns of the streams of all steps
 * Returns  {the time of runs in ms, how many timer rows are due, the time of the next one that is not or '', the stream and
 *          its number of entries, of each stream that has some; of one that is paused those that are at work count}
 */
export const rest = script(
  "rest",
  `
local now = now_ms()
local due = redis.call('ZCOUNT', KEYS[1], '-inf', now)
local coming = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
local found = { now, due, coming[2] or '' }
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
