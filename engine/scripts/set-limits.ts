import { script } from "./script.ts";

/**
 * Stores the limits of a step at its gate. Where they are others than before, what waits is looked at anew.
 *
 * KEYS  1 timers  2… the gate
 * ARGV  1 `workflow@version`  2 step  3 limits
 * Returns  Done; Already if they are the same; WrongType
 *
 * Its first write is HDEL, which is allowed over the memory limit, and so is what follows it: a worker that starts then is
 * what frees memory.
 */
export const setLimits = script(
  "set-limits",
  `
local _, any = wrong_types('zhzzzsss')
if any then return WRONG_TYPE end
local gate = open_gate(2, ARGV[1], ARGV[2])
if redis.call('HGET', gate.hash, 'limits') == ARGV[3] then return ALREADY end
redis.call('HDEL', gate.hash, 'limits')
redis.call('HSET', gate.hash, 'limits', ARGV[3])
if redis.call('ZCARD', gate.waiting) > 0 then
  redis.call('HSET', gate.hash, 'looked', '')
  redis.call('ZADD', KEYS[1], now_ms(), gate.row)
end
return DONE
`,
);
