import { script } from "./script.ts";

/**
 * Lets others carry out a request that could not be answered; forgets it if it is known to have made nothing.
 *
 * KEYS  1 once key  2 timers
 * ARGV  1 token of the process  2 the timer row that frees the key, if it made nothing; or ''
 * Returns  Done; Already if it is not this process's any more; WrongType
 *
 * What another has begun before may have made something, so that is kept. Its first writes are DEL and HDEL, which are allowed
 * over the memory limit.
 */
export const leaveRequest = script(
  "leave-request",
  `
local _, any = wrong_types('hz')
if any then return WRONG_TYPE end
local got = redis.call('HMGET', KEYS[1], 'holder', 'first')
if got[1] ~= ARGV[1] then return ALREADY end
if ARGV[2] ~= '' and got[2] == ARGV[1] then
  redis.call('DEL', KEYS[1])
  redis.call('ZREM', KEYS[2], ARGV[2])
else
  redis.call('HDEL', KEYS[1], 'holder', 'until')
end
return DONE
`,
);
