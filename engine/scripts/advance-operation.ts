import { script } from "./script.ts";

/**
 * Stores how far an operation has come. Of two processes that did the same part of it, one is counted.
 *
 * KEYS  1 operation
 * ARGV  1 the cursor where this part began  2 the cursor where it goes on; '' if it is done
 *       3 how many more fitted  4 how many more were done
 * Returns  Done; Stale if it is somewhere else by now; UnknownRun if there is no such operation; WrongType
 */
export const advanceOperation = script(
  "advance-operation",
  `
local _, any = wrong_types('h')
if any then return WRONG_TYPE end
local got = redis.call('HMGET', KEYS[1], 'cursor', 'endedAt')
if not got[1] then return UNKNOWN_RUN end
if got[1] ~= ARGV[1] or got[2] then return STALE end
-- HDEL is allowed over the memory limit, and so is what follows it.
redis.call('HDEL', KEYS[1], 'cursor')
redis.call('HSET', KEYS[1], 'cursor', ARGV[2])
redis.call('HINCRBY', KEYS[1], 'matched', ARGV[3])
redis.call('HINCRBY', KEYS[1], 'done', ARGV[4])
if ARGV[2] == '' then redis.call('HSET', KEYS[1], 'endedAt', now_ms()) end
return DONE
`,
);
