import { script } from "./script.ts";

/**
 * Carries out timer rows that are due, each by itself.
 *
 * KEYS  1 timers  2 delayed  then of each row: for wake its run, its step's stream, what is kept of its step's live items,
 *       its tenant's runs by status `queued` `running` `waiting`; for forget the once key; for ticket the ticket; for usage what is used; for lapse the dedupe key and its
 *       run; for expire its run; for key the API key, all of them and the tenant's
 * ARGV  1 a letter per key: its type  2 how many rows
 *       per row: row, kind (`wake`, `forget`, `usage`, `lapse`, `expire`, `key`, `ticket`), and for wake: reason, run id, step, item ('' for
 *       none), delayed field; for lapse: run id; for expire: limit; for key: its id
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

-- These are deliveries as any other; what else it was that a step waited for, its entry says.
local PLAIN = { retry = true, delay = true, parked = true }
-- What wakes these is set when it is due, and not counted before.
local UNCOUNTED = { child = true, detached = true }

local function wake(row)
  local first, reason, id, step, item, delayed = key + 1, take(), take(), take(), take(), take()
  local run, stream, live = first, first + 1, first + 2
  key = key + 6
  if not due(row) then return ALREADY end
  redis.call('ZREM', KEYS[1], row)
  for i = first, key do
    if wrong[i] then
      redis.call('ZADD', KEYS[1], now + 60000, row)
      return WRONG_TYPE
    end
  end
  if not UNCOUNTED[reason] then redis.call('HINCRBY', KEYS[2], delayed, -1) end
  local got = redis.call('HMGET', KEYS[run], 'status', 'tenant', 'createdAt', 'active', 'trace')
  if not got[1] then return UNKNOWN_RUN end
  -- What had woken it before it was parked, or failed and is tried again.
  local woken = string.match(reason, '^%a+:(.+)$') or reason
  local undo = woken == 'undo'
  if undo and got[1] ~= 'undoing' or not undo and not LIVE[got[1]] then return RUN_ENDED end
  local holder, field = KEYS[run], (undo and 'undo:' or 'step:') .. step
  if item ~= '' then holder, field = KEYS[live], item end
  local was, attempt, failures, crashes, place, started = string.match(redis.call('HGET', holder, field) or '', STEP)
  if place ~= 'timer:' .. row then return STALE end
  local fields = { 'run', id, 'tenant', got[2], 'input', '', 'failures', failures, 'crashes', crashes }
  if item ~= '' then
    fields[#fields + 1] = 'item'
    fields[#fields + 1] = item
  end
  if PLAIN[reason] or undo then started = '-' end
  if not PLAIN[reason] then
    fields[#fields + 1] = 'wake'
    fields[#fields + 1] = woken
  end
  local entry = add_entry(KEYS[stream], got[5], unpack(fields))
  redis.call('HSET', holder, field, table.concat({ 'queued', attempt, failures, crashes, entry, started, '- 0' }, ' '))
  if item == '' and was == 'waiting' and not undo then
    redis.call('HDEL', KEYS[run], 'due:' .. step)
    -- From here on it is the time-out that counts: a signal comes too late.
    if reason == 'timeout' then redis.call('HSET', KEYS[run], 'signalled:' .. step, '') end
    if got[4] then redis.call('HINCRBY', KEYS[run], 'active', 1) end
    if got[1] == 'waiting' then
      local queued = redis.call('HDEL', KEYS[run], 'unstarted') == 1
      redis.call('HSET', KEYS[run], 'status', queued and 'queued' or 'running')
      redis.call('ZREM', KEYS[first + 5], id)
      redis.call('ZADD', KEYS[first + (queued and 3 or 4)], got[3], id)
    end
  end
  return DONE
end

local function forget(row)
  key = key + 1
  if not due(row) then return ALREADY end
  redis.call('ZREM', KEYS[1], row)
  redis.call('DEL', KEYS[key])
  return DONE
end

local function later(row, in_ms)
  redis.call('ZADD', KEYS[1], now + in_ms, row)
end

local function lapse(row)
  local held, run, id = key + 1, key + 2, take()
  key = key + 2
  if not due(row) then return ALREADY end
  redis.call('ZREM', KEYS[1], row)
  if wrong[held] or wrong[run] then
    later(row, 60000)
    return WRONG_TYPE
  end
  if redis.call('HGET', KEYS[held], 'run') ~= id then return STALE end
  local got = redis.call('HMGET', KEYS[run], 'status', 'createdAt')
  -- The key is its run's while that is live. The older that is, the less often it is looked at.
  if got[1] and (LIVE[got[1]] or got[1] == 'undoing') then
    later(row, math.max(60000, math.floor((now - got[2]) / 4)))
  else
    redis.call('DEL', KEYS[held])
  end
  return DONE
end

local function expire(row)
  local limit = take()
  key = key + 1
  if not due(row) then return ALREADY end
  redis.call('ZREM', KEYS[1], row)
  if wrong[key] then
    later(row, 60000)
    return WRONG_TYPE
  end
  local status = redis.call('HGET', KEYS[key], 'status')
  if not status then return UNKNOWN_RUN end
  if not LIVE[status] then return RUN_ENDED end
  -- One that waits for a limit, or is parked, may be waiting before it has started.
  if limit == 'ttl' and status ~= 'queued' and redis.call('HEXISTS', KEYS[key], 'unstarted') == 0 then return STALE end
  later('overdue' .. string.sub(row, #'expire' + 1), 0)
  return DONE
end

local function remove_key(row)
  local held, id = key + 1, take()
  key = key + 3
  if not due(row) then return ALREADY end
  redis.call('ZREM', KEYS[1], row)
  if wrong[held] or wrong[held + 1] or wrong[held + 2] then
    later(row, 60000)
    return WRONG_TYPE
  end
  redis.call('DEL', KEYS[held])
  redis.call('ZREM', KEYS[held + 1], id)
  redis.call('ZREM', KEYS[held + 2], id)
  return DONE
end

local carry_out = { wake = wake, forget = forget, usage = forget, lapse = lapse, expire = expire, key = remove_key,
  ticket = forget }
local replies = {}
if wrong[1] or wrong[2] then return redis.error_reply('WRONGTYPE the timers of this namespace are not a sorted set') end
for i = 1, tonumber(ARGV[2]) do
  local row, kind = take(), take()
  replies[i] = carry_out[kind](row)
end
return replies
`,
);
