import { script } from "./script.ts";

/**
 * Takes a walk for one process, or keeps it: so that one at a time deletes what is no longer kept, or puts back what is lost.
 *
 * KEYS  1 sweep, or reconciler
 * ARGV  1 owner  2 for how many ms  3 how far it has come; `=` for as far as it had
 * Returns  {the time in ms, how far it has come}; {} if it is another's
 */
export const holdSweep = script(
  "hold-sweep",
  `
local _, any = wrong_types('h')
if any then return redis.error_reply('WRONGTYPE what says whose walk this is is not a hash') end
local now = now_ms()
local got = redis.call('HMGET', KEYS[1], 'owner', 'until', 'position')
if got[1] and got[1] ~= ARGV[1] and tonumber(got[2]) > now then return {} end
local position = ARGV[3] == '=' and (got[3] or '') or ARGV[3]
-- HDEL is allowed over the memory limit, and so is what follows it.
redis.call('HDEL', KEYS[1], '')
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'until', now + tonumber(ARGV[2]), 'position', position)
return { now, position }
`,
);
