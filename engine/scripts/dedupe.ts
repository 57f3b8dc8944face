import { script } from "./script.ts";

/**
 * Says which run the starts with one key give.
 *
 * KEYS  1 dedupe key  2 timers
 * ARGV  1 run id  2 window in ms  3 the run id that this one may replace; or ''
 *       4 how long the key is kept at least, in ms  5 the timer row that then frees it, without the run id at its end
 * Returns  {Done, run id} if the key is this run's from now on; {Already, the run id that it is of, 1 within that run's
 *          window or else 0}; {WrongType}
 */
export const dedupe = script(
  "dedupe",
  `
local wrong, any = wrong_types('hz')
if any then return { WRONG_TYPE } end
local got = redis.call('HMGET', KEYS[1], 'run', 'until')
local now = now_ms()
if got[1] and got[1] ~= ARGV[3] then return { ALREADY, got[1], tonumber(got[2]) > now and 1 or 0 } end
if got[1] then redis.call('ZREM', KEYS[2], ARGV[5] .. got[1]) end
redis.call('HSET', KEYS[1], 'run', ARGV[1], 'until', now + tonumber(ARGV[2]))
redis.call('ZADD', KEYS[2], now + tonumber(ARGV[4]), ARGV[5] .. ARGV[1])
return { DONE, ARGV[1] }
`,
);
