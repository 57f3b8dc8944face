import { script } from "./script.ts";

/**
 * Parks up to 100 entries that a paused tenant's worker was given, each by itself: the entry is given up, and the step waits
 * among what the tenant has parked, as a row that `unpark` makes a timer's. No attempt, failure or crash is charged.
 *
 * KEYS  1 paused  2 delayed  then of each entry: its stream, its run, the run's log, what its tenant has parked
 * ARGV  1 consumer
 *       per entry: entry, delivery count, step, failures, crashes, the tenant's field in what is paused, the row, the
 *                  step's field in delayed, event run.waiting
 * Returns  a Reply per entry: Done; Already if the tenant is not paused (any more): the entry is still the caller's;
 *          NotOwner; RunEnded, UnknownRun, Stale: the entry is gone; WrongType
 * Events  run.waiting
 *
 * The first write is XACK, which is allowed over the memory limit, and so is all that follows.
 */
export const park = script(
  "park",
  `
local items = (#KEYS - 2) / 4
local wrong = wrong_types('hh' .. string.rep('shlz', items))
local consumer, replies = ARGV[1], {}

local function one(key, at)
  local stream, run, log, parked = KEYS[key], KEYS[key + 1], KEYS[key + 2], KEYS[key + 3]
  local entry, step, field, row = ARGV[at], ARGV[at + 2], ARGV[at + 5], ARGV[at + 6]
  if wrong[1] or wrong[2] then return WRONG_TYPE end
  for k = key, key + 3 do
    if wrong[k] then return WRONG_TYPE end
  end
  if redis.call('HEXISTS', KEYS[1], field) == 0 then return ALREADY end
  local pending = redis.pcall('XPENDING', stream, GROUP, entry, entry, 1, consumer)
  if pending.err or not pending[1] or pending[1][4] ~= tonumber(ARGV[at + 1]) then return NOT_OWNER end
  local got = redis.call('HMGET', run, 'status', 'trimmed', 'step:' .. step)
  local _, attempt, _, _, place = string.match(got[3] or '', STEP)

  redis.call('XACK', stream, GROUP, entry)
  redis.call('XDEL', stream, entry)
  if not got[1] then return UNKNOWN_RUN end
  if not LIVE[got[1]] then return RUN_ENDED end
  if place ~= entry then return STALE end
  -- In the order in which they were queued.
  redis.call('ZADD', parked, string.match(entry, '^%d+'), row)
  redis.call('HINCRBY', KEYS[2], ARGV[at + 7], 1)
  redis.call('HSET', run, 'step:' .. step,
    table.concat({ 'waiting', attempt, ARGV[at + 3], ARGV[at + 4], 'timer:' .. row, '- - 0' }, ' '))
  append(run, log, got[2], { now_ms() .. ' ' .. ARGV[at + 8] }, 1)
  return DONE
end

for i = 1, items do replies[i] = one(4 * i - 1, 9 * i - 7) end
return replies
`,
);
