import { script } from "./script.ts";

/**
 * Stores what a request was answered, unless it was answered before.
 *
 * KEYS  1 once key
 * ARGV  1 digest of what was sent  2 the reply, sealed  3 where what it made is; or ''
 * Returns  {Done}; {Already, the reply of before}; {NotThere} if it was never begun, or is no longer kept; {WrongType}
 *
 * Its first write is HDEL, which is allowed over the memory limit, and so is what follows.
 */
export const answerRequest = script(
  "answer-request",
  `
local _, any = wrong_types('h')
if any then return { WRONG_TYPE } end
local got = redis.call('HMGET', KEYS[1], 'digest', 'reply')
if got[1] ~= ARGV[1] then return { NOT_THERE } end
if got[2] then return { ALREADY, got[2] } end
redis.call('HDEL', KEYS[1], 'seed', 'first', 'holder', 'until')
redis.call('HSET', KEYS[1], 'reply', ARGV[2], 'location', ARGV[3])
return { DONE }
`,
);
