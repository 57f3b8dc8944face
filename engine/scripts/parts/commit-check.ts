/** Checks one item, and remembers what its record said. Writes nothing. */
export const commitCheck = `
-- What each item stands for, and what its step's record said.
local attempt_of = setmetatable({}, { __index = function(known, counts)
  known[counts] = '"attempt":' .. match(counts, '^%d+') .. '}'
  return known[counts]
end })
local OF_ITEM = { ['events#'] = 'events', ['released#'] = 'released', ['completed#'] = 'completed', ['parked#'] = 'parked',
  ['retrying#'] = 'retrying', ['collected#'] = 'collected', ['failed#'] = 'failed', ['gated#'] = 'gated',
  ['left#'] = 'left' }
-- How many arguments each has of its own.
local EXTRA = { events = 0, released = 5, completed = 2, skipped = 0, gated = 3, left = 5, parked = 6, expanded = 3, retrying = 4,
  failed = 4, ['events#'] = 3, ['released#'] = 8, ['completed#'] = 6, ['gated#'] = 6, ['left#'] = 8, ['parked#'] = 9, ['retrying#'] = 7,
  ['collected#'] = 5, ['failed#'] = 7 }
local places, stream_of, run_of, was_status, was_counts, was_started, was_batch = {}, {}, {}, {}, {}, {}, {}
-- Which have waited at a gate, which let them in since.
local let_in = {}
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
    local got = redis.pcall('HMGET', key, 'status', 'createdAt', 'trimmed', field, 'trace')
    if got.err then return WRONG_TYPE end
    run = { number = number, key = key, log = KEYS[number + 1], status = got[1], created = got[2], trimmed = got[3],
      [field] = got[4], trace = got[5] }
    runs[number] = run
  elseif run[field] == nil then
    run[field] = call('HGET', run.key, field)
  end
  if not run.status then return UNKNOWN_RUN end
  if not LIVE[run.status] then return RUN_ENDED end
  run_of[i] = run
  local record = run[field]
  if record == 'queued 0 0 0 ' .. entry .. ' - - 0' then
    was_status[i], was_counts[i], was_started[i], was_batch[i] = 'queued', '0 0 0', '-', 0
    return DONE
  end
  if OF_ITEM[ARGV[at]] then
    local live = KEYS[number + 1 + stream.graph[stream.index].items]
    record = call('HGET', live, ARGV[at + 9])
  end
  local status, counts, place, started, batch = match(record or '', RECORD)
  if place ~= entry then
    if not stream.gate or string.sub(place or '', 1, 5) ~= 'gate:' then return STALE end
    local _, given = slot_of(stream.gate, string.sub(run.key, id_at), OF_ITEM[ARGV[at]] and ARGV[at + 9] or '')
    if given ~= entry then return STALE end
    let_in[i] = true
  end
  was_status[i], was_counts[i], was_started[i], was_batch[i] = status, counts, started, tonumber(batch)
  return DONE
end
`;
