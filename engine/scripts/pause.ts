import { script } from "./script.ts";

/**
 * Notes that a workflow, a step or a tenant is paused, and tells the workers.
 *
 * KEYS  1 paused
 * ARGV  1 field  2 control channel
 * Returns  Done; Already if it was paused before; WrongType
 * Events  `paused` on the control channel
 *
 * HDEL comes first, since it is allowed over the memory limit and so is what follows it.
 */
export const pause = script(
  "pause",
  `
local _, any = wrong_types('h')
if any then return WRONG_TYPE end
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then return ALREADY end
redis.call('HDEL', KEYS[1], '')
redis.call('HSET', KEYS[1], ARGV[1], now_ms())
redis.call('PUBLISH', ARGV[2], 'paused')
return DONE
`,
);
