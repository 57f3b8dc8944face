import { script } from "./script.ts";

/**
 * Stores a new API key and lists it.
 *
 * KEYS  1 the key  2 all keys  3 the tenant's keys  4 timers
 * ARGV  1 id  2 digest of its secret  3 how many the tenant may have  4 the timer row that removes it  5 when that is due, ms; ''
 *       for never  6… fields and values
 * Returns  {Done, when it was made in ms}; {Already, that} of a repeated call; {Stale} if the id is another key's; {Full};
 *          {WrongType}
 */
export const createKey = script(
  "create-key",
  `
local _, any = wrong_types('hzzz')
if any then return { WRONG_TYPE } end
local got = redis.call('HMGET', KEYS[1], 'digest', 'createdAt')
if got[2] then return { got[1] == ARGV[2] and ALREADY or STALE, tonumber(got[2]) } end
if redis.call('ZCARD', KEYS[3]) >= tonumber(ARGV[3]) then return { FULL } end
local now = now_ms()
redis.call('HSET', KEYS[1], 'digest', ARGV[2], 'createdAt', now, unpack(ARGV, 6))
redis.call('ZADD', KEYS[2], now, ARGV[1])
redis.call('ZADD', KEYS[3], now, ARGV[1])
if ARGV[5] ~= '' then redis.call('ZADD', KEYS[4], ARGV[5], ARGV[4]) end
return { DONE, now }
`,
);
