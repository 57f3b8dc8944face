import { script } from "./script.ts";

/**
 * Ends a run by wish: every live step is taken from its place.
 *
 * KEYS  1 run  2 log  3 timers  4 delayed  5 6 7 runs by status `queued` `running` `waiting`  8 by status `cancelled`
 *       9… of each step of its graph: its stream, and what is kept of its live items (or the run again, if it has none);
 *       then of each step with limits the keys of its gate
 * ARGV  1 run id  2 control channel  3 event run.cancelled  4 `workflow@version`  5 how many steps
 *       6… of each: its name, and whether it has items (`items` or ''); then which have limits
 * Returns  Done; Already if it was cancelled before; RunEnded if it ended otherwise; UnknownRun; WrongType
 * Events  run.cancelled; and `cancelled RUN` on the control channel, for the workers
 */
export const cancel = script(
  "cancel",
  `
local count = tonumber(ARGV[5])
local gates = (#KEYS - 8 - 2 * count) / 5
local wrong, any = wrong_types('hlzhzzzz' .. string.rep('sh', count) .. string.rep('hzzzs', gates))
if any then return WRONG_TYPE end
local id, now = ARGV[1], now_ms()
local got = redis.call('HMGET', KEYS[1], 'status', 'createdAt', 'trimmed')
local status = got[1]
if not status then return UNKNOWN_RUN end
if status == 'cancelled' then return ALREADY end
if not LIVE[status] then return RUN_ENDED end

-- ZREM comes first, since it is allowed over the memory limit and so is what follows it.
for i = 5, 7 do redis.call('ZREM', KEYS[i], id) end
local fields, steps = { 'status', 'cancelled', 'endedAt', now }, {}
for i = 1, count do
  steps[i] = { name = ARGV[4 + 2 * i], key = KEYS[7 + 2 * i], live = ARGV[5 + 2 * i] ~= '' and KEYS[8 + 2 * i] }
end
for i = 1, gates do
  local step = steps[tonumber(ARGV[5 + 2 * count + i])]
  step.gate = open_gate(4 + 2 * count + 5 * i, ARGV[4], step.name)
end
end_steps(KEYS[1], id, KEYS[3], KEYS[4], ARGV[4], steps, '', now, function(field, value)
  fields[#fields + 1] = field
  fields[#fields + 1] = value
end)
for i = 1, count do
  if steps[i].gate and steps[i].gate.touched then turn_gate(steps[i].gate, KEYS[3], now) end
end
redis.call('ZADD', KEYS[8], got[2], id)
redis.call('HSET', KEYS[1], unpack(fields))
tell_parent(KEYS[1], KEYS[3], id, now)
append(KEYS[1], KEYS[2], got[3], { now .. ' ' .. ARGV[3] }, 1)
redis.call('PUBLISH', ARGV[2], 'cancelled ' .. id)
return DONE
`,
);
