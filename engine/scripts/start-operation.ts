import { script } from "./script.ts";

/**
 * Stores a new operation, and the timer row that has a worker go on with it.
 *
 * KEYS  1 operation  2 timers
 * ARGV  1 timer row  2 in how many ms it is due  3… fields and values; `createdAt` is added
 * Returns  the time when the row is due, in ms, of a repeated call too; 0 if that operation has no row any more
 *
 * It may be refused for lack of memory, and is then as if never called.
 */
export const startOperation = script(
  "start-operation",
  `
local _, any = wrong_types('hz')
if any then return redis.error_reply('WRONGTYPE a key of the operation or the timers hold another type') end
if redis.call('EXISTS', KEYS[1]) == 1 then return tonumber(redis.call('ZSCORE', KEYS[2], ARGV[1]) or 0) end
local now = now_ms()
local due = now + tonumber(ARGV[2])
redis.call('HSET', KEYS[1], 'createdAt', now, unpack(ARGV, 3))
redis.call('ZADD', KEYS[2], due, ARGV[1])
return due
`,
);
