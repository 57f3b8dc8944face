import { tellingScript } from "./script.ts";

/**
 * Lets a failed run go on from its dead-lettered step, its failures and crashes forgotten; and from all that was taken from
 * its place when it failed.
 *
 * KEYS  1 run  2 log  3 dead-letter stream  4 the tenant's dead letters  5 runs by status `failed`
 *       6 runs by status `queued`  7… of each step of its graph: its stream, and what is kept of its live items (or the run
 *       again, if it has none)
 * ARGV  1 run id  2 dead-letter id  3 the entry in it  4 event run.queued
 *       5 the step's input from now on, in place of what it comes after; '' for the one it had
 *       6… of each step: its name, and what of `items` and `undo` it has
 * Returns  Done; UnknownRun if there is no such run or dead letter; Stale if the run is no longer failed by it; RunEnded if
 *          what it had done was undone; WrongType
 * Events  run.queued
 */
export const replay = tellingScript(
  "replay",
  `
local count = (#KEYS - 6) / 2
local wrong, any = wrong_types('hlszzz' .. string.rep('sh', count))
if any then return WRONG_TYPE end
local id, letter_id = ARGV[1], ARGV[2]
local mark = 'dead:' .. ARGV[3]
local got = redis.call('HMGET', KEYS[1], 'status', 'tenant', 'createdAt', 'trimmed', mark, 'active', 'ending', 'trace')
if not got[1] or not got[5] then return UNKNOWN_RUN end
if got[7] then return RUN_ENDED end
local dead_step, letter, dead_item = string.match(got[5], '^(%S+) (%S+) ?(%S*)$')
local dead_record = redis.call('HGET', KEYS[1], 'step:' .. dead_step)
local _, _, _, _, place = string.match(dead_record or '', STEP)
if got[1] ~= 'failed' or place ~= 'dead:' .. letter then return STALE end

local again, fields = 0, { 'status', 'queued' }
local function set(field, value)
  fields[#fields + 1] = field
  fields[#fields + 1] = value
end
local function add(stream, item)
  local entry
  if item then
    entry = add_entry(stream, got[8], 'run', id, 'tenant', got[2], 'input', '', 'item', item)
  else
    entry = add_entry(stream, got[8], 'run', id, 'tenant', got[2], 'input', '')
  end
  return 'queued 0 0 0 ' .. entry .. ' - - 0'
end
for _, each in ipairs(steps_at(7, 6)) do
  local step, stream, live = each.name, each.key, each.live
  local status, attempt, failures, crashes, _, started, _, batch =
    string.match(redis.call('HGET', KEYS[1], 'step:' .. step) or '', STEP)
  if status == 'cancelled' or step == dead_step then
    again = again + 1
    -- A wait that was over may be signalled again, and so may one whose signal was refused by its schema.
    local failed_with = redis.call('HGET', KEYS[1], 'error:' .. step) or ''
    if string.find(failed_with, '"code":"invalid_signal"', 1, true) then
      redis.call('HDEL', KEYS[1], 'signalled:' .. step, 'signal:' .. step)
    elseif redis.call('HGET', KEYS[1], 'signalled:' .. step) == '' then
      redis.call('HDEL', KEYS[1], 'signalled:' .. step)
    end
    if live and redis.call('HEXISTS', KEYS[1], 'items:' .. step) == 1 then
      local items = redis.call('HGETALL', live)
      for k = 1, #items, 2 do
        local was = string.match(items[k + 1], '^(%a+) ')
        if was == 'cancelled' or was == 'failed' then redis.call('HSET', live, items[k], add(stream, items[k])) end
      end
      set('step:' .. step, table.concat({ 'running', attempt, failures, crashes, 'items', started, '-', batch }, ' '))
    else
      set('step:' .. step, add(stream))
    end
  end
end
redis.call('XDEL', KEYS[3], letter)
redis.call('ZREM', KEYS[4], letter_id)
redis.call('HDEL', KEYS[1], mark, 'endedAt', 'error', 'error:' .. dead_step)
redis.call('ZREM', KEYS[5], id)
redis.call('ZADD', KEYS[6], got[3], id)
if ARGV[5] ~= '' then set('input:' .. dead_step, ARGV[5]) end
if got[6] then set('active', again) end
redis.call('HSET', KEYS[1], unpack(fields))
redis.call('HINCRBY', KEYS[1], 'replays', 1)
append(KEYS[1], KEYS[2], got[4], { now_ms() .. ' ' .. ARGV[4] }, 1)
return DONE
`,
);
