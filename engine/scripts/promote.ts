import { script } from "./script.ts";

/**
 * Carries out timer rows that are due, each by itself.
 *
 * KEYS  1 timers  2 delayed  then of each row: for wake its run and its step's stream; for forget the once key
 * ARGV  1 a letter per key: its type  2 how many rows
 *       per row: row, kind (`wake`, `forget`), and for wake: run id, step, delayed field
 * Returns  a Reply per row: Done; Already if it is gone or not due yet; Stale, RunEnded or UnknownRun if it had outlived
 *          what it was for; WrongType (it is tried again in a minute)
 *
 * Its first write is ZREM, which is allowed over the memory limit, and so is all that follows.
 */
export const promote = script(
  "promote",
  `
local wrong, at, key = wrong_types(ARGV[1]), 2, 2
local now = now_ms()
local function take()
  at = at + 1
  return ARGV[at]
end

local function due(row)
  local score = redis.call('ZSCORE', KEYS[1], row)
  return score and tonumber(score) <= now
end

local function wake(row)
  local run, stream, id, step, delayed = key + 1, key + 2, take(), take(), take()
  key = key + 2
  if not due(row) then return ALREADY end
  redis.call('ZREM', KEYS[1], row)
  if wrong[run] or wrong[stream] then
    redis.call('ZADD', KEYS[1], now + 60000, row)
    return WRONG_TYPE
  end
  redis.call('HINCRBY', KEYS[2], delayed, -1)
  local field = 'step:' .. step
  local got = redis.call('HMGET', KEYS[run], 'status', 'tenant', field)
  if not got[1] then return UNKNOWN_RUN end
  if not LIVE[got[1]] then return RUN_ENDED end
  local _, attempt, failures, crashes, place = string.match(got[3] or '', STEP)
  if place ~= 'timer:' .. row then return STALE end
  local entry = redis.call('XADD', KEYS[stream], '*', 'run', id, 'tenant', got[2], 'input', '', 'failures', failures,
    'crashes', crashes)
  redis.call('HSET', KEYS[run], field, table.concat({ 'queued', attempt, failures, crashes, entry, '- - 0' }, ' '))
  return DONE
end

local function forget(row)
  key = key + 1
  if not due(row) then return ALREADY end
  redis.call('ZREM', KEYS[1], row)
  redis.call('DEL', KEYS[key])
  return DONE
end

local replies = {}
if wrong[1] or wrong[2] then return redis.error_reply('WRONGTYPE the timers of this namespace are not a sorted set') end
for i = 1, tonumber(ARGV[2]) do
  local row, kind = take(), take()
  replies[i] = kind == 'wake' and wake(row) or kind == 'forget' and forget(row)
end
return replies
`,
);
