import { script } from "./script.ts";

/**
 * Ends an API key: what is stored of its secrets goes, and every process is told. The rest is kept for a while, to be looked up.
 *
 * KEYS  1 the key  2 timers
 * ARGV  1 id  2 the tenant whose it is  3 the timer row that removes it  4 how long it is kept, ms  5 channel
 * Returns  {Done, {field, value, …}}, the key as it is then; {Already, the same} if it was revoked before; {NotThere}; {WrongType}
 * Publishes  `key ID`
 *
 * Its first write is HDEL, which is allowed over the memory limit, and so is all that follows.
 */
export const revokeKey = script(
  "revoke-key",
  `
local _, any = wrong_types('hz')
if any then return { WRONG_TYPE } end
local got = redis.call('HMGET', KEYS[1], 'tenant', 'revokedAt')
if got[1] ~= ARGV[2] then return { NOT_THERE } end
if got[2] then return { ALREADY, redis.call('HGETALL', KEYS[1]) } end
local now = now_ms()
redis.call('HDEL', KEYS[1], 'digest', 'previousDigest', 'previousUntil')
redis.call('HSET', KEYS[1], 'revokedAt', now)
redis.call('ZADD', KEYS[2], now + tonumber(ARGV[4]), ARGV[3])
redis.call('PUBLISH', ARGV[5], 'key ' .. ARGV[1])
return { DONE, redis.call('HGETALL', KEYS[1]) }
`,
);
