import { script } from "./script.ts";

/**
 * Stores a new upload, lists it among its tenant's open ones and arms the timer row that collects it.
 *
 * KEYS  1 upload  2 the tenant's open uploads  3 timers
 * ARGV  1 id  2 timer row  3 how long it is kept, in ms  4 how many may be open  5… fields and values
 * Returns  {Done}; {Already, its digest} if it is there; {Full}; {WrongType}
 *
 * It may be refused for lack of memory, and is then as if never asked for.
 */
export const createUpload = script(
  "create-upload",
  `
local _, any = wrong_types('hzz')
if any then return { WRONG_TYPE } end
local got = redis.call('HMGET', KEYS[1], 'state', 'digest')
if got[1] then return { ALREADY, got[2] or '' } end
local now = now_ms()
if redis.call('ZCOUNT', KEYS[2], '(' .. now, '+inf') >= tonumber(ARGV[4]) then return { FULL } end
local ends = now + tonumber(ARGV[3])
redis.call('HSET', KEYS[1], 'state', 'open', 'offset', 0, 'parts', 0, 'createdAt', now, 'expiresAt', ends, unpack(ARGV, 5))
redis.call('ZADD', KEYS[2], ends, ARGV[1])
redis.call('ZADD', KEYS[3], ends, ARGV[2])
return { DONE }
`,
);
