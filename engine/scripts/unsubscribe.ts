import { changeSubscriptions } from "./parts/subscriptions.ts";
import { script } from "./script.ts";

/**
 * Removes a subscription with all that it has not handled.
 *
 * KEYS  1 subscriptions  2 its stream  3 its redeliveries  4 its dead letters
 * ARGV  1 group
 * Returns  Done; Already if there is none; WrongType
 *
 * Its first write is HDEL, which is allowed over the memory limit. What the other keys hold, whatever it is, goes.
 */
export const unsubscribe = script(
  "unsubscribe",
  `
${changeSubscriptions}
local wrong, any = wrong_types('h')
if any then return WRONG_TYPE end
local group = ARGV[1]
if redis.call('HEXISTS', KEYS[1], 'of:' .. group) == 0 then return ALREADY end
redis.call('HDEL', KEYS[1], 'of:' .. group, 'since:' .. group, 'paused:' .. group, 'gap:' .. group)
redis.call('HSET', KEYS[1], 'version', next_version(KEYS[1]))
redis.call('UNLINK', KEYS[2], KEYS[3], KEYS[4])
return DONE
`,
);
