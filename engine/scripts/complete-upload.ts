import { script } from "./script.ts";

/**
 * Stores what an upload has come to: its document, and then the run that was started with that.
 *
 * KEYS  1 upload  2 the tenant's open uploads  3 timers
 * ARGV  1 id  2 timer row  3 how long it is kept from now on, in ms  4 in how many ms the row is due, which deletes parts that
 *       are left  5 token of the request that holds it  6 the document, '' if that is stored  7 the run, '' for none
 * Returns  Done; Already if it was stored before; NotOwner if it is not held by this token, or not complete where it has to
 *          be; WrongType
 */
export const completeUpload = script(
  "complete-upload",
  `
local _, any = wrong_types('hzz')
if any then return WRONG_TYPE end
local got = redis.call('HMGET', KEYS[1], 'state', 'holder', 'parts', 'document', 'run')
if ARGV[6] == '' then
  if got[1] ~= 'complete' then return NOT_OWNER end
  if got[5] then return ALREADY end
  redis.call('HDEL', KEYS[1], '')
  redis.call('HSET', KEYS[1], 'run', ARGV[7])
  return DONE
end
if got[4] == ARGV[6] then return ALREADY end
if got[1] ~= 'open' or got[2] ~= ARGV[5] then return NOT_OWNER end
local now = now_ms()
-- HDEL is allowed over the memory limit, and so is what follows it.
redis.call('HDEL', KEYS[1], 'holder', 'until', 'wanted')
for i = 0, tonumber(got[3]) - 1 do redis.call('HDEL', KEYS[1], 'part:' .. i) end
redis.call('HSET', KEYS[1], 'state', 'complete', 'document', ARGV[6], 'expiresAt', now + tonumber(ARGV[3]))
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZADD', KEYS[3], now + tonumber(ARGV[4]), ARGV[2])
return DONE
`,
);
