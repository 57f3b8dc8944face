import { script } from "./script.ts";

/**
 * Hands a signal to the step that waits for it, or keeps it until that step does.
 *
 * KEYS  1 run  2 timers  3 delayed  4 the step's stream  5 6 runs by status `waiting` `running`
 * ARGV  1 run id  2 step  3 the signal's key  4 what it brings, as the run holds it  5 delayed field
 * Returns  Done; Already if it was sent before with this key; Stale if another one was, or the step is done; RunEnded;
 *          UnknownRun; Moved; WrongType
 */
export const signal = script(
  "signal",
  `
local _, any = wrong_types('hzhszz')
if any then return WRONG_TYPE end
local id, step = ARGV[1], ARGV[2]
local got = redis.call('HMGET', KEYS[1], 'status', 'tenant', 'createdAt', 'active', 'step:' .. step, 'signalled:' .. step,
  'version', 'trace')
if not got[1] then return UNKNOWN_RUN end
if got[6] then return got[6] == ARGV[3] and ALREADY or STALE end
if not LIVE[got[1]] then return RUN_ENDED end
if string.match(ARGV[5], '@(%d+):') ~= got[7] then return MOVED end
local status, attempt, failures, crashes, place, started = string.match(got[5] or '', STEP)
if ENDED[status] then return STALE end

local waits = status == 'waiting' and string.match(place, '^timer:(wake|timeout|.+)$')
if waits then
  if redis.call('ZREM', KEYS[2], waits) == 1 then redis.call('HINCRBY', KEYS[3], ARGV[5], -1) end
  local entry = add_entry(KEYS[4], got[8], 'run', id, 'tenant', got[2], 'input', '', 'failures', failures,
    'crashes', crashes, 'wake', 'signal')
  redis.call('HDEL', KEYS[1], 'due:' .. step)
  redis.call('HSET', KEYS[1], 'step:' .. step,
    table.concat({ 'queued', attempt, failures, crashes, entry, started, '- 0' }, ' '))
  if got[4] then redis.call('HINCRBY', KEYS[1], 'active', 1) end
  if got[1] == 'waiting' then
    redis.call('HSET', KEYS[1], 'status', 'running')
    redis.call('ZREM', KEYS[5], id)
    redis.call('ZADD', KEYS[6], got[3], id)
  end
end
redis.call('HSET', KEYS[1], 'signalled:' .. step, ARGV[3], 'signal:' .. step, ARGV[4])
return DONE
`,
);
