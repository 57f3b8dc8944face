import { script } from "./script.ts";

/**
 * Ends a pause, and tells the workers. What a tenant's pause has parked is put back by the timer row that this sets.
 *
 * KEYS  1 paused  2 timers
 * ARGV  1 field  2 control channel  3 timer row that is due at once ('' for none)
 * Returns  Done; Already if it was not paused; WrongType
 * Events  `paused` on the control channel
 */
export const resume = script(
  "resume",
  `
local _, any = wrong_types('hz')
if any then return WRONG_TYPE end
if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then return ALREADY end
if ARGV[3] ~= '' then redis.call('ZADD', KEYS[2], now_ms(), ARGV[3]) end
redis.call('PUBLISH', ARGV[2], 'paused')
return DONE
`,
);
