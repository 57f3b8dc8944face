import { script } from "./script.ts";

/**
 * Ends an upload: by wish, or once it has expired. From then on nobody holds it, and its blobs may go; its record goes a while
 * later, when what a request was still putting has come to its end.
 *
 * KEYS  1 upload  2 the tenant's open uploads  3 timers
 * ARGV  1 id  2 timer row  3 `wish` or `expiry`  4 how long its record stays, in ms
 * Returns  {Done, in how many ms its record may go} if it has ended, now or before: 0 for at once; {Stale, in how many ms it is
 *          to be looked at, its state} if it has not expired; {UnknownRun}; {WrongType}
 */
export const endUpload = script(
  "end-upload",
  `
local _, any = wrong_types('hzz')
if any then return { WRONG_TYPE } end
local got = redis.call('HMGET', KEYS[1], 'state', 'expiresAt', 'holder', 'until', 'endedAt')
local now, rest = now_ms(), tonumber(ARGV[4])
if not got[1] then return { UNKNOWN_RUN } end
if got[1] == 'gone' then return { DONE, math.max(0, tonumber(got[5]) + rest - now) } end
if ARGV[3] == 'expiry' then
  local held = got[3] and math.max(0, tonumber(got[4]) - server_ms()) or 0
  local left = math.max(tonumber(got[2]) - now, held)
  if left > 0 then return { STALE, left, got[1] } end
end
-- HDEL is allowed over the memory limit, and so is what follows it.
redis.call('HDEL', KEYS[1], 'holder', 'until', 'wanted')
redis.call('HSET', KEYS[1], 'state', 'gone', 'endedAt', now)
redis.call('ZREM', KEYS[2], ARGV[1])
if ARGV[3] == 'wish' then redis.call('ZADD', KEYS[3], now + rest, ARGV[2]) end
return { DONE, rest }
`,
);
