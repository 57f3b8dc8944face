import { script } from "./script.ts";

/**
 * Makes the steps that a tenant's pause has parked due, the oldest first: `promote` puts them back into their streams.
 *
 * KEYS  1 parked  2 timers  3 paused
 * ARGV  1 the tenant's field in what is paused  2 how many at most, up to 100
 * Returns  how many; 0 if none is left, or the tenant is paused again; WrongType
 */
export const unpark = script(
  "unpark",
  `
local _, any = wrong_types('zzh')
if any then return WRONG_TYPE end
if redis.call('HEXISTS', KEYS[3], ARGV[1]) == 1 then return 0 end
local rows = redis.call('ZRANGE', KEYS[1], 0, ARGV[2] - 1)
if #rows == 0 then return 0 end
redis.call('ZREM', KEYS[1], unpack(rows))
local now = now_ms()
for i = 1, #rows do redis.call('ZADD', KEYS[2], now, rows[i]) end
return #rows
`,
);
