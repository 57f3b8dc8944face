import { script } from "./script.ts";

/**
 * Stores the inputs of a step's items, before they begin.
 *
 * KEYS  1 run  2 the step's stream  3… chunks
 * ARGV  1 consumer  2 entry  3 delivery count  4 step  5 how many chunks there are with these
 *       6… the inputs of each chunk, as the run holds them
 * Returns  Done; NotOwner; Stale if the step is at another place, or its run has ended; WrongType
 */
export const putItems = script(
  "put-items",
  `
local chunks = #KEYS - 2
local _, any = wrong_types('hs' .. string.rep('h', chunks))
if any then return WRONG_TYPE end
local pending = redis.pcall('XPENDING', KEYS[2], GROUP, ARGV[2], ARGV[2], 1, ARGV[1])
if pending.err or not pending[1] or pending[1][4] ~= tonumber(ARGV[3]) then return NOT_OWNER end
local got = redis.call('HMGET', KEYS[1], 'status', 'step:' .. ARGV[4])
local _, _, _, _, place = string.match(got[2] or '', STEP)
if not LIVE[got[1] or ''] or place ~= ARGV[2] then return STALE end
redis.call('HSET', KEYS[1], 'chunks:' .. ARGV[4], ARGV[5])
for i = 1, chunks do redis.call('HSET', KEYS[2 + i], 'in', ARGV[5 + i]) end
return DONE
`,
);
