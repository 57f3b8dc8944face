import { undoing } from "./undoing.ts";

/**
 * What the scripts share that end a run from outside: what they are given, what is checked and what is done. If something
 * is to be undone, the last undo ends the run.
 *
 * KEYS  1 run  2 log  3 timers  4 delayed  5 6 7 runs by status `queued` `running` `waiting`  8 by the status that it gets
 *       9 what its tenant has parked  10 the tenant's ends  11… of each step of its graph: its stream, and what is kept of its live items (or the run
 *       again, if it has none); then of each step with limits its gate
 * ARGV  1 run id  2 control channel  3 its last event  4 `workflow@version`  5 timer row of its ttl  6 of its deadline
 *       7… the script's own, then of each step: its name, and what of `items` and `undo` it has;
 *       then which steps have limits, and how many
 */
export const endRun = `${undoing}
local gates = tonumber(ARGV[#ARGV])
local count = (#KEYS - 10 - 7 * gates) / 2
local _, any = wrong_types('hlzhzzzzzl' .. string.rep('sh', count) .. string.rep('hzzzsss', gates))
if any then return WRONG_TYPE end
local id, now = ARGV[1], now_ms()
local got = redis.call('HMGET', KEYS[1], 'status', 'createdAt', 'trimmed', 'replays', 'tenant', 'version')
if not got[1] then return UNKNOWN_RUN end

-- Its live steps are in the streams of another version than the caller's by now.
local function was_moved() return string.match(ARGV[4], '@(%d+)$') ~= got[6] end

-- Takes every live step from its place; 'word' tells the workers, 'error' is JSON.
local function end_run(status, word, error)
  -- ZREM comes first, since it is allowed over the memory limit and so is what follows it.
  for i = 5, 7 do redis.call('ZREM', KEYS[i], id) end
  redis.call('ZREM', KEYS[3], ARGV[5], ARGV[6])
  local fields, steps = {}, steps_at(11, #ARGV - gates - 2 * count, count)
  local function set(field, value)
    fields[#fields + 1] = field
    fields[#fields + 1] = value
  end
  if error then set('error', error) end
  for i = 1, gates do
    local step = steps[tonumber(ARGV[#ARGV - 1 - gates + i])]
    step.gate = open_gate(4 + 2 * count + 7 * i, ARGV[4], step.name)
  end
  end_steps(KEYS[1], id, KEYS[3], KEYS[4], KEYS[9], ARGV[4], steps, '', now, set)
  for i = 1, count do
    if steps[i].gate and steps[i].gate.touched then turn_gate(steps[i].gate, KEYS[3], now) end
  end
  if undo_next(KEYS[1], id, got[5], steps) then
    set('status', 'undoing')
    set('ending', status .. ' ' .. ARGV[3])
    redis.call('ZADD', KEYS[6], got[2], id)
    redis.call('HSET', KEYS[1], unpack(fields))
  else
    set('status', status)
    set('endedAt', now)
    redis.call('ZADD', KEYS[8], got[2], id)
    redis.call('HSET', KEYS[1], unpack(fields))
    note_ends(KEYS[10], { end_line(now, id, string.match(ARGV[4], '^[^@]+')) })
    tell_waiting(KEYS[1], KEYS[3], id, now)
    append(KEYS[1], KEYS[2], got[3], { now .. ' ' .. ARGV[3] }, 1)
  end
  redis.call('PUBLISH', ARGV[2], word .. ' ' .. id)
  return DONE
end
`;
