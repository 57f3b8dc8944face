import { script } from "./script.ts";

/**
 * Starts those at a gate whose turn it is; takes the slots of runs that are not live any more; and, while it goes through the
 * keys that wait because the limits are others now, puts up to 100 of them where they belong. Its timer row is set anew.
 *
 * KEYS  1 timers  2… the gate  9… the runs of some that hold a slot
 * ARGV  1 `workflow@version`  2 step  3… of each of those: run id, item ('' for none)
 * Returns  Done; WrongType
 */
export const turnGate = script(
  "turn-gate",
  `
local _, any = wrong_types('zhzzzsss' .. string.rep('h', #KEYS - 8))
if any then return WRONG_TYPE end
local gate, now = open_gate(2, ARGV[1], ARGV[2]), now_ms()
-- ZREM comes first, since it is allowed over the memory limit and so is what follows it.
redis.call('ZREM', KEYS[1], gate.row)
for i = 9, #KEYS do
  local at = 3 + 2 * (i - 9)
  if not LIVE[redis.call('HGET', KEYS[i], 'status') or ''] then leave_gate(gate, ARGV[at], ARGV[at + 1], now) end
end

local looked, looks = redis.call('HGET', gate.hash, 'looked'), 0
while looked and looks < AT_ONCE do
  local ticket = redis.call('ZRANGEBYLEX', gate.waiting, looked == '' and '-' or '(' .. looked .. '}', '+', 'LIMIT', 0, 1)[1]
  looked = ticket and string.match(ticket, TICKET)
  if looked then place_key(gate, looked, now) end
  looks = looks + 1
end
if looked then redis.call('HSET', gate.hash, 'looked', looked) else redis.call('HDEL', gate.hash, 'looked') end

turn_gate(gate, KEYS[1], now)
if looked then redis.call('ZADD', KEYS[1], 'LT', now, gate.row) end
return DONE
`,
);
