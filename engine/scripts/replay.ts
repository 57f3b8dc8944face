import { script } from "./script.ts";

/**
 * Lets a failed run go on from its dead-lettered step, its failures and crashes forgotten.
 *
 * KEYS  1 run  2 log  3 dead-letter stream  4 the tenant's dead letters  5 step stream
 *       6 runs by status `failed`  7 runs by status `queued`
 * ARGV  1 run id  2 dead-letter id  3 the entry in it  4 step  5 event run.queued
 *       6 the step's input from now on, in place of what it comes after; '' for the one it had
 * Returns  Done; UnknownRun if there is no such run or dead letter; Stale if the run is no longer failed by it; WrongType
 * Events  run.queued
 */
export const replay = script(
  "replay",
  `
local wrong, any = wrong_types('hlszszz')
if any then return WRONG_TYPE end
local id, letter_id, step = ARGV[1], ARGV[2], ARGV[4]
local mark, field = 'dead:' .. ARGV[3], 'step:' .. step
local got = redis.call('HMGET', KEYS[1], 'status', 'tenant', 'createdAt', 'trimmed', mark, field)
if not got[1] or not got[5] then return UNKNOWN_RUN end
local letter = string.match(got[5], '^%S+ (%S+)$')
local _, attempt, _, _, place = string.match(got[6] or '', STEP)
if got[1] ~= 'failed' or place ~= 'dead:' .. letter then return STALE end

local entry = redis.call('XADD', KEYS[5], '*', 'run', id, 'tenant', got[2], 'input', '')
redis.call('XDEL', KEYS[3], letter)
redis.call('ZREM', KEYS[4], letter_id)
redis.call('HDEL', KEYS[1], mark, 'endedAt', 'error', 'error:' .. step)
redis.call('ZREM', KEYS[6], id)
redis.call('ZADD', KEYS[7], got[3], id)
if ARGV[6] ~= '' then redis.call('HSET', KEYS[1], 'input:' .. step, ARGV[6]) end
redis.call('HSET', KEYS[1], 'status', 'queued', field, 'queued 0 0 0 ' .. entry .. ' - - 0')
append(KEYS[1], KEYS[2], got[4], { now_ms() .. ' ' .. ARGV[5] }, 1)
return DONE
`,
);
