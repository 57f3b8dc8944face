import { script } from "./script.ts";

/**
 * Stores how long the ended runs of workflows are kept.
 *
 * KEYS  1 retention
 * ARGV  1… workflow, policy of each
 * Returns  Done; WrongType
 *
 * Deleting runs frees memory, so it must not wait for memory: the first write is HDEL, which is allowed over the limit, and
 * so is what follows it.
 */
export const setRetention = script(
  "set-retention",
  `
local _, any = wrong_types('h')
if any then return WRONG_TYPE end
redis.call('HDEL', KEYS[1], '')
redis.call('HSET', KEYS[1], unpack(ARGV))
return DONE
`,
);
