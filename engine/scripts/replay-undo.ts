import { undoing } from "./parts/undoing.ts";
import { script } from "./script.ts";

/**
 * Has a step undone again whose undo went to dead letters, its failures and crashes forgotten. A run that has ended is
 * undone again first; one that is being undone comes to it in turn.
 *
 * KEYS  1 run  2 log  3 dead-letter stream  4 the tenant's dead letters  5 6 7 runs by status `running` `failed` `cancelled`
 *       8… the stream of each step that has an undo
 * ARGV  1 run id  2 dead-letter id  3 the entry in it  4 event run.started  5… the names of the steps that have an undo
 * Returns  Done; UnknownRun if there is no such run or dead letter; Stale if the step's undo is no longer at it; WrongType
 * Events  run.started, of a run that had ended
 */
export const replayUndo = script(
  "replay-undo",
  `${undoing}
local steps = {}
for i = 1, #KEYS - 7 do steps[i] = { name = ARGV[4 + i], key = KEYS[7 + i], undo = true } end
local _, any = wrong_types('hlszzzz' .. string.rep('s', #steps))
if any then return WRONG_TYPE end
local id, mark = ARGV[1], 'dead:' .. ARGV[3]
local got = redis.call('HMGET', KEYS[1], 'status', 'tenant', 'createdAt', 'trimmed', mark)
local step, letter = string.match(got[5] or '', '^(%S+) (%S+) undo$')
if not letter then return UNKNOWN_RUN end
local _, _, _, _, place = string.match(redis.call('HGET', KEYS[1], 'undo:' .. step) or '', STEP)
if place ~= 'dead:' .. letter then return STALE end

redis.call('XDEL', KEYS[3], letter)
redis.call('ZREM', KEYS[4], ARGV[2])
redis.call('HDEL', KEYS[1], mark, 'undo:' .. step, 'undoError:' .. step)
if got[1] == 'undoing' then return DONE end
redis.call('HDEL', KEYS[1], 'endedAt')
redis.call('HSET', KEYS[1], 'status', 'undoing')
redis.call('ZREM', KEYS[6], id)
redis.call('ZREM', KEYS[7], id)
redis.call('ZADD', KEYS[5], got[3], id)
undo_next(KEYS[1], id, got[2], steps)
append(KEYS[1], KEYS[2], got[4], { now_ms() .. ' ' .. ARGV[4] }, 1)
return DONE
`,
);
