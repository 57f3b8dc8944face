import { script } from "./script.ts";

/**
 * Takes due timer rows for one process: they are due again after the lease, in case it dies.
 *
 * KEYS  1 timers
 * ARGV  1 the lease in ms  2… rows
 * Returns  of each row the time until which it is the caller's, in ms; 0 if it is gone or not due: another has it
 */
export const claimTimers = script(
  "claim-timers",
  `
local _, any = wrong_types('z')
if any then return redis.error_reply('WRONGTYPE the timers of this namespace are not a sorted set') end
local now = now_ms()
local taken, until_ms = {}, now + tonumber(ARGV[1])
for i = 2, #ARGV do
  local score = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if score and tonumber(score) <= now then
    -- ZREM first: it is allowed over the memory limit, and so is what follows.
    redis.call('ZREM', KEYS[1], ARGV[i])
    redis.call('ZADD', KEYS[1], until_ms, ARGV[i])
    taken[i - 1] = until_ms
  else
    taken[i - 1] = 0
  end
end
return taken
`,
);
