import { script } from "./script.ts";

/**
 * Keeps a result for the later attempts of a held step, or of a held item of it. The first that was kept stays.
 *
 * KEYS  1 run  2 the step's stream  3 what is kept of its live items (the run again, if it is about none)  4 memos of the run
 * ARGV  1 consumer  2 entry  3 delivery count  4 field of the step's record, or of what undoes it  5 item ('' for none)  6 the result's field
 *       7 the field that counts them  8 how many there may be  9 the result, as the run holds values
 * Returns  {Done}; {Already, what was kept before}; {Full}; {NotOwner}; {Stale} if the step is at another place, or its
 *          run has ended; {WrongType}
 * Events  none
 */
export const remember = script(
  "remember",
  `
local FULL = -9
local _, any = wrong_types('hshh')
if any then return { WRONG_TYPE } end
local pending = redis.pcall('XPENDING', KEYS[2], GROUP, ARGV[2], ARGV[2], 1, ARGV[1])
if pending.err or not pending[1] or pending[1][4] ~= tonumber(ARGV[3]) then return { NOT_OWNER } end
local got = redis.call('HMGET', KEYS[1], 'status', ARGV[4])
local live = LIVE[got[1] or ''] or got[1] == 'undoing' and string.find(ARGV[4], '^undo:')
local record = got[2]
if ARGV[5] ~= '' then record = redis.call('HGET', KEYS[3], ARGV[5]) end
local _, _, _, _, place = string.match(record or '', STEP)
if not live or place ~= ARGV[2] then return { STALE } end
local known = redis.call('HMGET', KEYS[4], ARGV[6], ARGV[7])
if known[1] then return { ALREADY, known[1] } end
local count = tonumber(known[2] or 0)
if count >= tonumber(ARGV[8]) then return { FULL } end
-- HDEL is allowed over the memory limit, and so is what follows it: what was paid for is kept.
redis.call('HDEL', KEYS[4], '')
redis.call('HSET', KEYS[4], ARGV[6], ARGV[9], ARGV[7], count + 1)
return { DONE }
`,
);
