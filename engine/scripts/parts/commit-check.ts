/** Checks one item, and remembers what its record said. Writes nothing. */
export const commitCheck = `
-- What each item stands for, and what its step's record said.
local places, form_of, run_of, was_status, was_counts, was_started, was_batch = {}, {}, {}, {}, {}, {}, {}
-- Which are stored by pass.
local PASSES, passing = 'passes', {}
-- Which have waited at a gate, which let them in since.
local let_in = {}
local runs = {}
local RECORD = '^(%S+) (%S+ %S+ %S+) (%S+) (%S+) %S+ (%S+)$'
local function check(i, at, form, entry)
  local stream = form.stream
  local count = stream.counts[entry]
  if not count and stream.more then
    local pending = call('XPENDING', stream.key, GROUP, entry, entry, 1, consumer)
    count = pending[1] and pending[1][4]
  end
  if count ~= form.count then return NOT_OWNER end
  local number, field = tonumber(ARGV[at + 2]), stream.record
  local run = runs[number]
  if not run then
    local key = KEYS[number]
    local got = redis.pcall('HMGET', key, 'status', 'createdAt', 'trimmed', field, 'trace')
    if got.err then return WRONG_TYPE end
    run = { number = number, key = key, log = KEYS[number + 1], status = got[1], created = got[2], trimmed = got[3],
      [field] = got[4], trace = got[5], id = sub(key, id_at), was_in = false, is_in = false }
    runs[number] = run
  elseif run[field] == nil then
    run[field] = call('HGET', run.key, field)
  end
  if not run.status then return UNKNOWN_RUN end
  if not LIVE[run.status] then return RUN_ENDED end
  run_of[i] = run
  local record = run[field]
  if record == 'queued 0 0 0 ' .. entry .. ' - - 0' then
    if form.passes then return PASSES end
    was_status[i], was_counts[i], was_started[i], was_batch[i] = 'queued', '0 0 0', '-', 0
    return DONE
  end
  if form.of_item then
    local live = KEYS[number + 1 + stream.graph[stream.index].items]
    record = call('HGET', live, ARGV[at + 3])
  end
  local status, counts, place, started, batch = match(record or '', RECORD)
  if place ~= entry then
    if not stream.gate or string.sub(place or '', 1, 5) ~= 'gate:' then return STALE end
    local _, given = slot_of(stream.gate, run.id, form.of_item and ARGV[at + 3] or '')
    if given ~= entry then return STALE end
    let_in[i] = true
  end
  was_status[i], was_counts[i], was_started[i], was_batch[i] = status, counts, started, tonumber(batch)
  return DONE
end
`;
