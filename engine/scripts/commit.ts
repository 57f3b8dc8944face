import { script } from "./script.ts";

/**
 * Commits what up to 100 held entries have come to, each by itself and each with its own reply.
 *
 * KEYS  whatever the items name; an item names a key by its number. A run's log is the key after the run.
 * ARGV  1 consumer  2 a letter per key: its type (h l s z)  3 how many streams  4 how many items
 *       per stream: key, first entry, last entry, count: where to look for the entries' owners, in one call
 *       per item:
 *         kind (`events`, `done`, `released`), stream key, entry, delivery count, run key, run id, tenant, step,
 *         attempt, failures, crashes: the last three as of this attempt
 *         ms since it started, to tell that it did; '' if that was told before
 *         batch (of its events, 1 2 3 …), how many events, the events, the progress to show ('' for none)
 *         keys of the runs by status `queued` and `running`
 *       and for kind released: the input for its new entry
 *       and for kind done: how it ended (`completed`, `retrying`, `failed`), then
 *         completed: output, event step.completed, how many next steps, (stream key, step, input) of each,
 *                    and if there are none: event run.completed, key of the runs by status `completed`
 *         retrying:  error, event step.retrying, delay in ms, timer row, timers key, delayed key, delayed field
 *         failed:    error, event step.failed, event run.failed, dead-letter id, dead-letter stream key, key of the
 *                    tenant's dead letters, key of the runs by status `failed`
 * Returns  a Reply per item: Done, NotOwner, RunEnded, UnknownRun, Stale, WrongType
 * Events  run.started, step.started, the item's own, then as the item says
 *
 * All is read and checked before the first write. That is XACK, or XCLAIM where no entry is given up: both are allowed
 * over the memory limit, and so is all that follows them. A refused item whose run has ended or is unknown gives its
 * entry up; any other refusal leaves all as it was.
 */
export const commit = script(
  "commit",
  `
local consumer, wrong, at = ARGV[1], wrong_types(ARGV[2]), 4
local function take()
  at = at + 1
  return ARGV[at]
end
local function take_key() return tonumber(take()) end

-- The delivery counts of the entries that this consumer owns, by stream key.
local owned, full = {}, {}
for _ = 1, tonumber(ARGV[3]) do
  local stream, first, last, count = take_key(), take(), take(), take()
  local counts = {}
  if not wrong[stream] then
    local pending = redis.pcall('XPENDING', KEYS[stream], GROUP, first, last, count, consumer)
    if not pending.err then
      for i = 1, #pending do counts[pending[i][1]] = pending[i][4] end
      full[stream] = #pending >= tonumber(count)
    end
  end
  owned[stream] = counts
end
local function delivery_count(stream, entry)
  local count = owned[stream][entry]
  if not count and full[stream] then
    local pending = redis.call('XPENDING', KEYS[stream], GROUP, entry, entry, 1, consumer)
    count = pending[1] and pending[1][4]
  end
  return count
end

local runs = {}
local function read_run(key, step)
  local field = 'step:' .. step
  local run = runs[key]
  if not run then
    local got = redis.call('HMGET', KEYS[key], 'status', 'createdAt', 'log', field)
    run = { status = got[1], created = got[2], log = got[3], steps = { [step] = got[4] } }
    runs[key] = run
  elseif run.steps[step] == nil then
    run.steps[step] = redis.call('HGET', KEYS[key], field)
  end
  return run
end

local function check(item)
  for i = 1, #item.keys do
    if wrong[item.keys[i]] then return WRONG_TYPE end
  end
  if delivery_count(item.stream, item.entry) ~= item.count then return NOT_OWNER end
  local run = read_run(item.run, item.step)
  if not run.status then return UNKNOWN_RUN end
  if not LIVE[run.status] then return RUN_ENDED end
  local status, attempt, _, _, place, started, _, batch = string.match(run.steps[item.step] or '', STEP)
  if place ~= item.entry then return STALE end
  item.was, item.was_attempt, item.was_started, item.was_batch = status, attempt, started, tonumber(batch)
  return DONE
end

local function parse()
  local item = { kind = take(), stream = take_key(), entry = take(), count = take_key(), run = take_key(), id = take(),
    tenant = take(), step = take(), attempt = take(), failures = take(), crashes = take(), ago = take(),
    batch = take_key(), events = {} }
  for i = 1, take_key() do item.events[i] = take() end
  item.progress, item.queued, item.running = take(), take_key(), take_key()
  item.keys = { item.stream, item.run, item.run + 1, item.queued, item.running }
  local function key()
    local number = take_key()
    item.keys[#item.keys + 1] = number
    return number
  end
  if item.kind == 'released' then item.input = take() end
  if item.kind ~= 'done' then return item end
  item.outcome, item.value, item.event = take(), take(), take()
  if item.outcome == 'completed' then
    item.next = {}
    for i = 1, take_key() do item.next[i] = { stream = key(), step = take(), input = take() } end
    if #item.next == 0 then item.run_event, item.index = take(), key() end
  elseif item.outcome == 'retrying' then
    item.delay, item.row, item.timers, item.delayed, item.delayed_field = take_key(), take(), key(), key(), take()
  else
    item.run_event, item.dead_id, item.dead, item.dead_index, item.index = take(), take(), key(), key(), key()
  end
  return item
end

local items, replies, gone, claim = {}, {}, {}, nil
for i = 1, tonumber(ARGV[4]) do
  local item = parse()
  local reply = check(item)
  items[i], replies[i] = item, reply
  if (reply == DONE and item.kind ~= 'events') or reply == RUN_ENDED or reply == UNKNOWN_RUN or reply == STALE then
    local ids = gone[item.stream]
    if not ids then
      ids = {}
      gone[item.stream] = ids
    end
    ids[#ids + 1] = item.entry
  elseif reply == DONE then
    claim = claim or item
  end
end

if claim then
  redis.call('XCLAIM', KEYS[claim.stream], GROUP, consumer, 0, claim.entry, 'JUSTID')
end
for stream, ids in pairs(gone) do
  redis.call('XACK', KEYS[stream], GROUP, unpack(ids))
  redis.call('XDEL', KEYS[stream], unpack(ids))
end

local now_number = now_ms()
local now = int(now_number)

local function enter(stream, item, failures, crashes, input)
  return redis.call('XADD', KEYS[stream], '*', 'run', item.id, 'tenant', item.tenant, 'failures', failures,
    'crashes', crashes, 'input', input)
end
local function move(run, from, to, id)
  if from ~= to then
    redis.call('ZREM', KEYS[from], id)
    redis.call('ZADD', KEYS[to], run.created, id)
  end
end

local function write(item)
  local run = runs[item.run]
  local lines, fields = {}, {}
  local function set(field, value)
    fields[#fields + 1] = field
    fields[#fields + 1] = value
  end
  local status, started, batch, ended = item.was, item.was_started, item.was_batch, '-'
  local attempt, failures, crashes, place = item.attempt, item.failures, item.crashes, item.entry
  local told = status == 'running' and item.was_attempt == attempt
  if item.ago ~= '' and not told then
    started, batch, status = int(now_number - tonumber(item.ago)), 0, 'running'
    if run.status == 'queued' then
      run.status = 'running'
      set('status', 'running')
      move(run, item.queued, item.running, item.id)
      lines[1] = started .. ' {"type":"run.started"}'
    end
    lines[#lines + 1] = started .. ' {"type":"step.started","step":"' .. item.step .. '","attempt":' .. attempt .. '}'
  end
  if item.batch > batch then
    batch = item.batch
    for i = 1, #item.events do lines[#lines + 1] = now .. ' ' .. item.events[i] end
    if item.progress ~= '' then set('progress:' .. item.step, item.progress) end
  end

  if item.kind == 'released' then
    place = enter(item.stream, item, failures, crashes, item.input)
    status, started, batch = 'queued', '-', 0
  elseif item.kind == 'done' then
    status, ended = item.outcome, now
    lines[#lines + 1] = now .. ' ' .. item.event
    local finish
    if status == 'completed' then
      place = '-'
      set('output:' .. item.step, item.value)
      for i = 1, #item.next do
        local following = item.next[i]
        local entry = enter(following.stream, item, 0, 0, following.input)
        set('step:' .. following.step, step_record('queued', 0, 0, 0, entry, '-', '-', 0))
      end
      if #item.next == 0 then
        finish = 'completed'
        set('result', item.step)
      end
    elseif status == 'retrying' then
      place, ended = 'timer:' .. item.row, '-'
      set('error:' .. item.step, item.value)
      redis.call('ZADD', KEYS[item.timers], int(now_number + item.delay), item.row)
      redis.call('HINCRBY', KEYS[item.delayed], item.delayed_field, 1)
    else
      finish = 'failed'
      local letter = redis.call('XADD', KEYS[item.dead], '*', 'id', item.dead_id, 'run', item.id, 'tenant', item.tenant,
        'attempt', attempt, 'error', item.value)
      place = 'dead:' .. letter
      redis.call('ZADD', KEYS[item.dead_index], now, item.dead_id)
      set('error:' .. item.step, item.value)
      set('error', item.value)
      set('dead:' .. item.entry, item.step .. ' ' .. letter)
    end
    if finish then
      lines[#lines + 1] = now .. ' ' .. item.run_event
      move(run, run.status == 'queued' and item.queued or item.running, item.index, item.id)
      run.status = finish
      set('status', finish)
      set('endedAt', now)
    end
  end

  local record = step_record(status, attempt, failures, crashes, place, started, ended, batch)
  run.steps[item.step] = record
  set('step:' .. item.step, record)
  if #lines > 0 then
    run.log = append(KEYS[item.run], KEYS[item.run + 1], run.log, lines)
    set('log', run.log)
  end
  redis.call('HSET', KEYS[item.run], unpack(fields))
end

for i = 1, #items do
  -- An earlier item of this group may have ended the run: this one's entry is gone, and that is all there is to do.
  if replies[i] == DONE and not LIVE[runs[items[i].run].status] then replies[i] = RUN_ENDED end
  if replies[i] == DONE then write(items[i]) end
end
return replies
`,
);
