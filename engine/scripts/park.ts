import { script } from "./script.ts";

/**
 * Parks up to 100 entries that a paused tenant's worker was given, each by itself: the entry is given up, and the step, or
 * the item of it, waits among what the tenant has parked, as a row that `unpark` makes a timer's. No attempt, failure or
 * crash is charged.
 *
 * KEYS  1 paused  2 delayed  then of each entry: its stream, its run, the run's log, what its tenant has parked, what is kept
 *       of its step's live items, its tenant's runs by status `queued` `running` `waiting`
 * ARGV  1 consumer
 *       per entry: entry, delivery count, step, item ('' for none), failures, crashes, what the step was woken by ('' for
 *                  nothing), the tenant's field in what is paused, the row, the step's field in delayed, event run.waiting
 * Returns  a Reply per entry: Done; Already if the tenant is not paused (any more): the entry is still the caller's;
 *          NotOwner; RunEnded, UnknownRun, Stale: the entry is gone; WrongType
 * Events  run.waiting, if nothing else of the run is queued, at work or to be tried again
 *
 * The first write is XACK, which is allowed over the memory limit, and so is all that follows.
 */
export const park = script(
  "park",
  `
local items = (#KEYS - 2) / 8
local wrong = wrong_types('hh' .. string.rep('shlzhzzz', items))
local consumer, replies = ARGV[1], {}

local function one(key, at)
  local stream, run, log, parked, live = KEYS[key], KEYS[key + 1], KEYS[key + 2], KEYS[key + 3], KEYS[key + 4]
  local entry, step, item, woken, row = ARGV[at], ARGV[at + 2], ARGV[at + 3], ARGV[at + 6], ARGV[at + 8]
  if wrong[1] or wrong[2] then return WRONG_TYPE end
  for k = key, key + 7 do
    if wrong[k] then return WRONG_TYPE end
  end
  if redis.call('HEXISTS', KEYS[1], ARGV[at + 7]) == 0 then return ALREADY end
  local pending = redis.pcall('XPENDING', stream, GROUP, entry, entry, 1, consumer)
  if pending.err or not pending[1] or pending[1][4] ~= tonumber(ARGV[at + 1]) then return NOT_OWNER end
  local got = redis.call('HMGET', run, 'status', 'trimmed', 'createdAt', 'active')
  local undo = woken == 'undo'
  local holder, field = run, (undo and 'undo:' or 'step:') .. step
  if item ~= '' then holder, field = live, item end
  local _, attempt, _, _, place, started = string.match(redis.call('HGET', holder, field) or '', STEP)

  redis.call('XACK', stream, GROUP, entry)
  redis.call('XDEL', stream, entry)
  if not got[1] then return UNKNOWN_RUN end
  if undo and got[1] ~= 'undoing' or not undo and not LIVE[got[1]] then return RUN_ENDED end
  if place ~= entry then return STALE end
  -- In the order in which they were queued.
  redis.call('ZADD', parked, string.match(entry, '^%d+'), row)
  redis.call('HINCRBY', KEYS[2], ARGV[at + 9], 1)
  if woken == '' or undo then started = '-' end
  redis.call('HSET', holder, field,
    table.concat({ 'waiting', attempt, ARGV[at + 4], ARGV[at + 5], 'timer:' .. row, started, '- 0' }, ' '))
  -- A step with items is at work, whatever they do. In a chain of tasks there is one step at a time.
  if undo or item ~= '' or got[4] and redis.call('HINCRBY', run, 'active', -1) > 0 then return DONE end
  local id = string.match(run, '[^:]+$')
  for k = key + 5, key + 6 do redis.call('ZREM', KEYS[k], id) end
  redis.call('ZADD', KEYS[key + 7], got[3], id)
  redis.call('HSET', run, 'status', 'waiting')
  if got[1] == 'queued' then redis.call('HSET', run, 'unstarted', 1) end
  append(run, log, got[2], { now_ms() .. ' ' .. ARGV[at + 10] }, 1)
  return DONE
end

for i = 1, items do replies[i] = one(8 * i - 5, 11 * i - 9) end
return replies
`,
);
