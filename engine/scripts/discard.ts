import { script } from "./script.ts";

/**
 * Drops a dead letter. Its run stays failed.
 *
 * KEYS  1 run  2 dead-letter stream  3 the tenant's dead letters
 * ARGV  1 dead-letter id  2 the entry in it
 * Returns  Done; UnknownRun if there is no such dead letter; WrongType
 */
export const discard = script(
  "discard",
  `
local wrong, any = wrong_types('hsz')
if any then return WRONG_TYPE end
local mark = 'dead:' .. ARGV[2]
local letter = string.match(redis.call('HGET', KEYS[1], mark) or '', '^%S+ (%S+)')
if not letter then return UNKNOWN_RUN end
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('XDEL', KEYS[2], letter)
redis.call('HDEL', KEYS[1], mark)
return DONE
`,
);
