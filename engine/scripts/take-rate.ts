import { script } from "./script.ts";

/**
 * Takes of a rate limit, by the generic cell rate algorithm: of each key one number is kept, when it will have all of its limit
 * again. It is a member of a sorted set with that time as its score, so that those that have all of it, and are to be forgotten, are the
 * lowest. Times are in microseconds of the server's own clock: a limit may have many in a millisecond.
 *
 * KEYS  1 rates
 * ARGV  1 the key  2 how long one takes to come back, µs  3 how many there are at the most  4 how many are taken; 0 only looks
 *       5 how many are forgotten at the most
 * Returns  {Done or Full, how many could be taken now, in how many µs it has all again, in how many µs as many could be taken};
 *          {WrongType}
 *
 * Sent again, since the reply was lost, it takes twice: a limit may be too strict for a moment, and never too lax. Its first write
 * is ZREM, which is allowed over the memory limit, and so is all that follows.
 */
export const takeRate = script(
  "take-rate",
  `
local _, any = wrong_types('z')
if any then return { WRONG_TYPE } end
local each, most, cost = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local spent = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, tonumber(ARGV[5]))
redis.call('ZREM', KEYS[1], '', unpack(spent))
-- A limit that was larger, and is made smaller, is used up and no more than that.
local full_at = math.min(math.max(tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or 0), now), now + each * most)
local wait = full_at + each * cost - (now + each * most)
if wait <= 0 and cost > 0 then
  full_at = full_at + each * cost
  redis.call('ZADD', KEYS[1], full_at, ARGV[1])
end
local left = math.floor(most - (full_at - now) / each)
return { wait <= 0 and DONE or FULL, left, full_at - now, math.max(0, wait) }
`,
);
