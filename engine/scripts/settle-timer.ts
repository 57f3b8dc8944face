import { script } from "./script.ts";

/**
 * Gives a taken row back: it is done, or goes on in a while. Nothing happens if it is another's by now.
 *
 * KEYS  1 timers
 * ARGV  1 row  2 the time until which it was taken  3 in how many ms it goes on; '' if it is done
 * Returns  Done; NotOwner
 */
export const settleTimer = script(
  "settle-timer",
  `
if redis.call('ZSCORE', KEYS[1], ARGV[1]) ~= ARGV[2] then return NOT_OWNER end
redis.call('ZREM', KEYS[1], ARGV[1])
if ARGV[3] ~= '' then redis.call('ZADD', KEYS[1], now_ms() + tonumber(ARGV[3]), ARGV[1]) end
return DONE
`,
);
