import { script } from "./script.ts";

/**
 * Reserves a run id for an idempotency key.
 *
 * KEYS  1 once key  2 timers
 * ARGV  1 digest of what was sent  2 run id  3 how long it is kept, in ms  4 the timer row that frees it
 *       5 the run id that it may have stood for so far, in whose stead it stands for this one from now on; or ''
 * Returns  {Done, run id}; {Already, the run id of the first call, its digest}; {WrongType}
 */
export const reserve = script(
  "reserve",
  `
local wrong, any = wrong_types('hz')
if any then return { WRONG_TYPE } end
local got = redis.call('HMGET', KEYS[1], 'run', 'digest')
if got[1] and got[1] ~= ARGV[5] then return { ALREADY, got[1], got[2] } end
if got[1] then
  redis.call('HSET', KEYS[1], 'run', ARGV[2])
  return { DONE, ARGV[2] }
end
redis.call('HSET', KEYS[1], 'run', ARGV[2], 'digest', ARGV[1])
redis.call('ZADD', KEYS[2], now_ms() + tonumber(ARGV[3]), ARGV[4])
return { DONE, ARGV[2] }
`,
);
