import { script } from "./script.ts";

/**
 * Gives an API key a new secret, and tells every process.
 *
 * KEYS  1 the key  2 timers
 * ARGV  1 id  2 the tenant whose it is  3 digest of the new secret  4 how long the one before goes on working,
 *       in ms  5 when the key expires from now on, ms; '' as it is  6 the timer row that removes it  7 how long after its end it
 *       is kept, ms  8 channel
 * Returns  {Done, {field, value, …}}, the key as it is then; {Already, the same} of a repeated call; {NotThere}; {Stale} if it
 *          was revoked or has expired; {WrongType}
 * Publishes  `key ID`
 *
 * Its first write is HDEL, which is allowed over the memory limit, and so is all that follows.
 */
export const rotateKey = script(
  "rotate-key",
  `
local _, any = wrong_types('hz')
if any then return { WRONG_TYPE } end
local got = redis.call('HMGET', KEYS[1], 'tenant', 'digest', 'revokedAt', 'expiresAt', 'secretNumber')
if got[1] ~= ARGV[2] then return { NOT_THERE } end
if got[2] == ARGV[3] then return { ALREADY, redis.call('HGETALL', KEYS[1]) } end
local now = now_ms()
if got[3] or got[4] and tonumber(got[4]) <= now then return { STALE } end
redis.call('HDEL', KEYS[1], 'previousDigest', 'previousUntil')
if ARGV[4] ~= '0' then
  redis.call('HSET', KEYS[1], 'previousDigest', got[2], 'previousUntil', now + tonumber(ARGV[4]))
end
redis.call('HSET', KEYS[1], 'digest', ARGV[3], 'secretNumber', got[5] + 1, 'rotatedAt', now)
if ARGV[5] ~= '' then
  redis.call('HSET', KEYS[1], 'expiresAt', ARGV[5])
  redis.call('ZADD', KEYS[2], ARGV[5] + tonumber(ARGV[7]), ARGV[6])
end
redis.call('PUBLISH', ARGV[8], 'key ' .. ARGV[1])
return { DONE, redis.call('HGETALL', KEYS[1]) }
`,
);
