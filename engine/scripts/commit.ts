import { script } from "./script.ts";

/**
 * Commits what up to 100 held entries have come to, each by itself and each with its own reply.
 *
 * KEYS  1 timers  2 delayed  then whatever is named below by its number; a run's log is the key after the run
 * ARGV  1 consumer  2 a letter per key: its type (h l s z; r for a run, whose type its reading shows)
 *       3 how many characters of a run's key come before its id  4 how many tenants  5 how many streams  6 how many items
 *       per tenant: its name, keys of its runs by status `queued` `running` `completed` `failed`, key of its dead letters
 *       per stream: key, step, key of the dead-letter stream, delayed field; first entry, last entry, count: where to look
 *                   for the entries' owners in one call; how many steps come next, (stream key, step) of each
 *       per item, at its place + …:
 *         0 what it is: `events`, `released`, `completed`, `retrying`, `failed`  1 which stream  2 entry
 *         3 delivery count  4 run key  5 which tenant  6 attempt, failures and crashes as of this attempt, in one
 *         7 ms since it started, to tell that it did; '' if that was told before
 *         8 how many events; and if there are any: their batch (1 2 3 …), progress to show ('' for none), the events; then
 *         released:   failures, crashes, input of its new entry
 *         completed:  output, the input for the next entries (`=`: the output; '': they are to read it from the run)
 *         retrying:   error, event step.retrying, delay in ms, timer row
 *         failed:     error, event step.failed, event run.failed, dead-letter id
 * Returns  a Reply per item: Done, NotOwner, RunEnded, UnknownRun, Stale; or WrongType for all, and nothing is written:
 *          the caller then sends the items one by one
 * Events  run.started, step.started, the item's own, step.completed or as the item says, run.completed
 *
 * All is read and checked before the first write. That is XACK, or XCLAIM where no entry is given up: both are allowed
 * over the memory limit, and so is all that follows them. A refused item whose run has ended or is unknown gives its
 * entry up; any other refusal leaves all as it was.
 */
export const commit = script(
  "commit",
  `
local call, match, ARGV, KEYS = redis.call, string.match, ARGV, KEYS
local consumer, id_at, item_count = ARGV[1], tonumber(ARGV[3]) + 1, tonumber(ARGV[6])
local replies = {}

local function refuse_all()
  for i = 1, item_count do replies[i] = WRONG_TYPE end
  return replies
end
local _, any_wrong = wrong_types(ARGV[2])
if any_wrong then return refuse_all() end

local at, tenants, streams = 7, {}, {}
for i = 1, tonumber(ARGV[4]) do
  tenants[i .. ''] = { name = ARGV[at], queued = KEYS[tonumber(ARGV[at + 1])], running = KEYS[tonumber(ARGV[at + 2])],
    completed = KEYS[tonumber(ARGV[at + 3])], failed = KEYS[tonumber(ARGV[at + 4])], dead = KEYS[tonumber(ARGV[at + 5])] }
  at = at + 6
end
for i = 1, tonumber(ARGV[5]) do
  local step, count = ARGV[at + 1], tonumber(ARGV[at + 6])
  local named = ',"step":"' .. step .. '","attempt":'
  local stream = { key = KEYS[tonumber(ARGV[at])], step = step, record = 'step:' .. step, output = 'output:' .. step,
    dead = KEYS[tonumber(ARGV[at + 2])], delayed = ARGV[at + 3], started = ' {"type":"step.started"' .. named,
    completed = '{"type":"step.completed"' .. named, counts = {}, gone = {}, next = {} }
  -- The delivery counts of the entries that this consumer owns.
  local pending = redis.pcall('XPENDING', stream.key, GROUP, ARGV[at + 4], ARGV[at + 5], count, consumer)
  if not pending.err then
    for k = 1, #pending do stream.counts[pending[k][1]] = pending[k][4] end
    stream.more = #pending >= count
  end
  for k = 1, tonumber(ARGV[at + 7]) do
    stream.next[k] = { key = KEYS[tonumber(ARGV[at + 6 + 2 * k])], record = 'step:' .. ARGV[at + 7 + 2 * k] }
  end
  streams[i], streams[i .. ''] = stream, stream
  at = at + 8 + 2 * #stream.next
end

-- What each item stands for, and what its step's record said.
local attempt_of = setmetatable({}, { __index = function(known, counts)
  known[counts] = match(counts, '^%d+')
  return known[counts]
end })
local places, stream_of, run_of, was_status, was_counts, was_started, was_batch = {}, {}, {}, {}, {}, {}, {}
local runs = {}
local RECORD = '^(%S+) (%S+ %S+ %S+) (%S+) (%S+) %S+ (%S+)$'
local function check(i, at, stream, entry)
  local count = stream.counts[entry]
  if not count and stream.more then
    local pending = call('XPENDING', stream.key, GROUP, entry, entry, 1, consumer)
    count = pending[1] and pending[1][4]
  end
  if count ~= (ARGV[at + 3] == '1' and 1 or tonumber(ARGV[at + 3])) then return NOT_OWNER end
  local number, field = tonumber(ARGV[at + 4]), stream.record
  local run = runs[number]
  if not run then
    local key = KEYS[number]
    local got = redis.pcall('HMGET', key, 'status', 'createdAt', 'trimmed', field)
    if got.err then return WRONG_TYPE end
    run = { key = key, log = KEYS[number + 1], status = got[1], created = got[2], trimmed = got[3], [field] = got[4] }
    runs[number] = run
  elseif run[field] == nil then
    run[field] = call('HGET', run.key, field)
  end
  if not run.status then return UNKNOWN_RUN end
  if not LIVE[run.status] then return RUN_ENDED end
  run_of[i] = run
  if run[field] == 'queued 0 0 0 ' .. entry .. ' - - 0' then
    was_status[i], was_counts[i], was_started[i], was_batch[i] = 'queued', '0 0 0', '-', 0
    return DONE
  end
  local status, counts, place, started, batch = match(run[field] or '', RECORD)
  if place ~= entry then return STALE end
  was_status[i], was_counts[i], was_started[i], was_batch[i] = status, counts, started, tonumber(batch)
  return DONE
end

local EXTRA = { events = 0, released = 3, completed = 2, retrying = 4, failed = 4 }
local claim
for i = 1, item_count do
  local kind, stream, entry = ARGV[at], streams[ARGV[at + 1]], ARGV[at + 2]
  local events = ARGV[at + 8] == '0' and 0 or tonumber(ARGV[at + 8])
  local reply = check(i, at, stream, entry)
  if reply == WRONG_TYPE then return refuse_all() end
  places[i], stream_of[i], replies[i] = at, stream, reply
  if reply == DONE and kind == 'events' then
    claim = claim or i
  elseif reply ~= NOT_OWNER then
    stream.gone[#stream.gone + 1] = entry
  end
  at = at + 9 + EXTRA[kind] + (events > 0 and events + 2 or 0)
end

if claim then call('XCLAIM', stream_of[claim].key, GROUP, consumer, 0, ARGV[places[claim] + 2], 'JUSTID') end
for i = 1, #streams do
  local stream = streams[i]
  if #stream.gone > 0 then
    call('XACK', stream.key, GROUP, unpack(stream.gone))
    call('XDEL', stream.key, unpack(stream.gone))
  end
end

local now = now_ms()
local now_text, times = now .. '', {}
local at_now = now_text .. ' '
-- The time that was so many ms ago, as text.
local function time_ago(ago)
  local time = times[ago]
  if not time then
    time = (now - tonumber(ago)) .. ''
    times[ago] = time
  end
  return time
end

local function move(run, id, from, to)
  if from ~= to then
    call('ZREM', from, id)
    call('ZADD', to, run.created, id)
  end
end

local lines, fields = {}, {}
local function write(i, at)
  local run, stream, tenant = run_of[i], stream_of[i], tenants[ARGV[at + 5]]
  local kind, counts, ago, id = ARGV[at], ARGV[at + 6], ARGV[at + 7], string.sub(run.key, id_at)
  local status, started, batch, place, ended = was_status[i], was_started[i], was_batch[i], ARGV[at + 2], '-'
  local n, f, finish = 0, 2, nil
  if ago ~= '' and not (status == 'running' and was_counts[i] == counts) then
    started, batch, status = time_ago(ago), 0, 'running'
    if run.status == 'queued' then
      run.status = 'running'
      fields[f + 1], fields[f + 2] = 'status', 'running'
      f = f + 2
      move(run, id, tenant.queued, tenant.running)
      n = n + 1
      lines[n] = started .. ' {"type":"run.started"}'
    end
    n = n + 1
    lines[n] = started .. stream.started .. attempt_of[counts] .. '}'
  end
  local more = at + 9
  if ARGV[at + 8] ~= '0' then
    local events = tonumber(ARGV[at + 8])
    if tonumber(ARGV[more]) > batch then
      batch = tonumber(ARGV[more])
      for k = more + 2, more + 1 + events do
        n = n + 1
        lines[n] = at_now .. ARGV[k]
      end
      if ARGV[more + 1] ~= '' then
        fields[f + 1], fields[f + 2] = 'progress:' .. stream.step, ARGV[more + 1]
        f = f + 2
      end
    end
    more = more + 2 + events
  end

  if kind == 'completed' then
    local output, input = ARGV[more], ARGV[more + 1]
    if input == '=' then input = output end
    status, place, ended = kind, '-', now_text
    fields[f + 1], fields[f + 2] = stream.output, output
    f = f + 2
    n = n + 1
    lines[n] = at_now .. stream.completed .. attempt_of[counts] .. '}'
    for k = 1, #stream.next do
      local following = stream.next[k]
      local entry = call('XADD', following.key, '*', 'run', id, 'tenant', tenant.name, 'input', input)
      fields[f + 1], fields[f + 2] = following.record, 'queued 0 0 0 ' .. entry .. ' - - 0'
      f = f + 2
    end
    if #stream.next == 0 then
      finish = tenant.completed
      fields[f + 1], fields[f + 2] = 'result', stream.step
      f = f + 2
      n = n + 1
      lines[n] = at_now .. '{"type":"run.completed"}'
    end
  elseif kind == 'released' then
    place = call('XADD', stream.key, '*', 'run', id, 'tenant', tenant.name, 'input', ARGV[more + 2],
      'failures', ARGV[more], 'crashes', ARGV[more + 1])
    status, started, batch = 'queued', '-', 0
  elseif kind == 'retrying' then
    status, place = kind, 'timer:' .. ARGV[more + 3]
    fields[f + 1], fields[f + 2] = 'error:' .. stream.step, ARGV[more]
    f = f + 2
    n = n + 1
    lines[n] = at_now .. ARGV[more + 1]
    call('ZADD', KEYS[1], now + tonumber(ARGV[more + 2]), ARGV[more + 3])
    call('HINCRBY', KEYS[2], stream.delayed, 1)
  elseif kind == 'failed' then
    local letter = call('XADD', stream.dead, '*', 'id', ARGV[more + 3], 'run', id, 'tenant', tenant.name,
      'attempt', attempt_of[counts], 'error', ARGV[more])
    call('ZADD', tenant.dead, now_text, ARGV[more + 3])
    fields[f + 1], fields[f + 2] = 'error:' .. stream.step, ARGV[more]
    fields[f + 3], fields[f + 4] = 'error', ARGV[more]
    fields[f + 5], fields[f + 6] = 'dead:' .. place, stream.step .. ' ' .. letter
    f = f + 6
    lines[n + 1], lines[n + 2] = at_now .. ARGV[more + 1], at_now .. ARGV[more + 2]
    n = n + 2
    status, place, ended, finish = kind, 'dead:' .. letter, now_text, tenant.failed
  end
  if finish then
    move(run, id, run.status == 'queued' and tenant.queued or tenant.running, finish)
    run.status = status
    fields[f + 1], fields[f + 2], fields[f + 3], fields[f + 4] = 'status', status, 'endedAt', now_text
    f = f + 4
  end

  local record = status .. ' ' .. counts .. ' ' .. place .. ' ' .. started .. ' ' .. ended .. ' ' .. batch
  run[stream.record] = record
  fields[1], fields[2] = stream.record, record
  call('HSET', run.key, unpack(fields, 1, f))
  if n > 0 then run.trimmed = append(run.key, run.log, run.trimmed, lines, n) end
end

for i = 1, item_count do
  -- An earlier item of this group may have ended the run: this one's entry is gone, and that is all there is to do.
  if replies[i] == DONE then
    if LIVE[run_of[i].status] then write(i, places[i]) else replies[i] = RUN_ENDED end
  end
end
return replies
`,
);
