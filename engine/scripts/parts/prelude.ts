import { gate } from "./gate.ts";

/** The line of the prelude that says which time runs go by. */
export const RUN_TIME = "local now_ms = server_ms";

/**
 * What scripts share. A step's record in the run hash is one field, `step:NAME`, of eight words: status, attempt,
 * failures, crashes, place, started, ended, batch (`-` for none). The place is where a live step is: a stream entry's id,
 * `timer:ROW`, `gate:TICKET`, or `dead:ID` of a dead letter. The field `trimmed` counts the events that are no longer in the log.
 */
const PRELUDE = `
local GROUP = 'workers'
local DONE, ALREADY, NOT_OWNER, RUN_ENDED, UNKNOWN_RUN, WRONG_TYPE, STALE, MOVED = 1, 0, -1, -2, -3, -4, -5, -6
local DONE_AND_DUE, AWAITED, NOT_THERE, FULL, STALE_LIST = 2, -7, -8, -9, -20
local LOG_EVENTS, LOG_BYTES, LOG_LOOK, NUDGE_BYTES = 10000, 4194304, 64, 8192
local ENDS_KEPT, ENDS_MS = 50000, 86400000
local LIVE = { queued = true, running = true, waiting = true }
-- By the letter of a type: the command that answers with a number for it and for no key, and else with an error.
local LENGTH_OF = { h = 'HLEN', l = 'LLEN', s = 'XLEN', z = 'ZCARD' }
local STEP = '^(%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+)$'

-- The time of leases, in milliseconds since 1970. (Numbers below 10^14 become text without a loss in this Lua.)
local function server_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
-- The time of runs: of events, timers and records. The test kit alone has another.
${RUN_TIME}

-- Which of KEYS hold another type than the letter in 'kinds' says. Redis does not roll a script back, so a key of the
-- wrong type has to be found before the first write.
local function wrong_types(kinds)
  local wrong, any = {}, false
  for i = 1, #KEYS do
    local length = LENGTH_OF[string.sub(kinds, i, i)]
    if length and type(redis.pcall(length, KEYS[i])) ~= 'number' then
      wrong[i], any = true, true
    end
  end
  return wrong, any
end

-- Set in a script that tells events to subscriptions, if there are any.
local tell_subscriptions

-- Appends the first n lines to a run's log, drops its oldest past the caps and nudges those who watch. Its size in bytes is
-- looked at every so many events, and with each that is large. Returns how many were dropped in all.
local function append(run_key, log_key, trimmed, lines, n)
  local length = redis.call('RPUSH', log_key, unpack(lines, 1, n))
  trimmed = tonumber(trimmed or 0)
  local last, drop = length + trimmed, 0
  if length > LOG_EVENTS then drop = length - LOG_EVENTS end
  local text = table.concat(lines, '\\n', 1, n)
  if length > n and (length % LOG_LOOK < n or #text > NUDGE_BYTES) then
    local size = redis.call('MEMORY', 'USAGE', log_key)
    -- Down to seven eighths, so that not every event has to drop one.
    if size > LOG_BYTES then drop = math.max(drop, math.ceil(length * (1 - LOG_BYTES * 7 / 8 / size))) end
    drop = math.min(drop, length - n)
  end
  if drop > 0 then
    redis.call('LTRIM', log_key, drop, -1)
    redis.call('HINCRBY', run_key, 'trimmed', drop)
  end
  -- %d: what Lua makes of a number otherwise, it makes of a fraction, which takes ten times as long.
  last = string.format('%d', last)
  redis.call('PUBLISH', run_key, #text <= NUDGE_BYTES and last .. '\\n' .. text or last)
  if tell_subscriptions then tell_subscriptions(run_key, lines, n, length + trimmed - n) end
  return trimmed + drop
end

-- Notes for those who were away that runs have ended. Of its notes a tenant keeps so many, and for so long.
local function end_line(now, id, workflow) return now .. ' ' .. id .. ' ' .. workflow end
local function note_ends(ends_key, lines)
  local length = redis.call('RPUSH', ends_key, unpack(lines))
  if length > ENDS_KEPT then redis.call('LTRIM', ends_key, length - ENDS_KEPT, -1) end
end
-- Drops the oldest two, where they are too old to be asked for.
local function drop_old_ends(ends_key, now)
  for _ = 1, 2 do
    local oldest = redis.call('LINDEX', ends_key, 0)
    if not oldest or tonumber(string.match(oldest, '^%d+')) >= now - ENDS_MS then return end
    redis.call('LTRIM', ends_key, 1, -1)
  end
end

-- Adds a step's entry to its stream, and rings for it. What it has follows: names and values. It carries the trace that its run
-- is of, if there is one: then every attempt is in it, and nobody has to read the run to know.
local rung = {}
local function add_entry(stream, trace, ...)
  if not rung[stream] then
    rung[stream] = true
    redis.call('PUBLISH', string.match(stream, '^{[^}]+}:') .. 'bell', stream)
  end
  if trace then return redis.call('XADD', stream, '*', 'trace', trace, ...) end
  return redis.call('XADD', stream, '*', ...)
end

${gate}
-- Takes a live step or item from its place.
local function clear_place(place, stream_key, timers_key, delayed_key, parked_key, field)
  local row = string.match(place, '^timer:(.+)$')
  if row then
    local reason = string.match(row, '^wake|([^|]+)|')
    local was = redis.call('ZREM', timers_key, row)
    -- A resume may have made it due already.
    if was == 0 and string.find(reason or '', '^parked') then was = redis.call('ZREM', parked_key, row) end
    if reason ~= 'child' and reason ~= 'detached' and was == 1 then redis.call('HINCRBY', delayed_key, field, -1) end
  elseif string.match(place, '^%d+%-%d+$') then
    redis.pcall('XACK', stream_key, GROUP, place)
    redis.call('XDEL', stream_key, place)
  end
end

-- The steps that stepPlaces() tells of, from this key and this argument on.
local function steps_at(key, arg, count)
  local steps = {}
  for i = 1, count or (#KEYS - key + 1) / 2 do
    local name, marks = ARGV[arg + 2 * i - 2], ARGV[arg + 2 * i - 1]
    steps[i] = { name = name, key = KEYS[key + 2 * i - 2], live = string.find(marks, 'items', 1, true) and KEYS[key + 2 * i - 1],
      undo = string.find(marks, 'undo', 1, true) }
  end
  return steps
end

local ENDED = { completed = true, failed = true, cancelled = true, skipped = true }

-- Takes every live step but one from its place, as the run ends; each becomes cancelled. 'steps' are {name, key of its
-- stream, key of its live items if it has items, its gate if it has limits}; 'set' is given fields of the run. What is done
-- here, a replay undoes.
local function end_steps(run_key, id, timers_key, delayed_key, parked_key, version, steps, except, now, set)
  -- A child run that was started is cancelled by a timer row.
  local function cancel_child(child)
    redis.call('ZADD', timers_key, now, 'cancel|' .. redis.call('HGET', run_key, 'tenant') .. '|' .. child)
  end
  for i = 1, #steps do
    local step = steps[i]
    local record = redis.call('HGET', run_key, 'step:' .. step.name)
    local status, attempt, failures, crashes, place, started, _, batch = string.match(record or '', STEP)
    local field = version .. ':' .. step.name
    if status and (status == 'running' and place == 'items' or step.name == except) and step.live then
      local items = redis.call('HGETALL', step.live)
      for k = 1, #items, 2 do
        if string.match(items[k], '^c') then cancel_child(items[k + 1]) end
        local was, a, f, c, at, s, _, b = string.match(items[k + 1], STEP)
        if was and not ENDED[was] then
          clear_place(at, step.key, timers_key, delayed_key, parked_key, field)
          if step.gate then clear_gate(step.gate, at, id, items[k], tonumber(now)) end
          redis.call('HSET', step.live, items[k], table.concat({ 'cancelled', a, f, c, '-', s, now, b }, ' '))
        end
      end
    end
    if status and not ENDED[status] then
      local child = redis.call('HGET', run_key, 'child:' .. step.name)
      if child then cancel_child(child) end
    end
    if status and not ENDED[status] and step.name ~= except then
      clear_place(place, step.key, timers_key, delayed_key, parked_key, field)
      if step.gate then clear_gate(step.gate, place, id, '', tonumber(now)) end
      set('step:' .. step.name, table.concat({ 'cancelled', attempt, failures, crashes, '-', started, now, batch }, ' '))
    end
  end
end

-- Wakes what waits for this run, which has ended: a step, or a schedule. True if there is one.
local function tell_waiting(run_key, timers_key, id, now)
  -- Only a run with an id of version 8 was started by another.
  if string.byte(id, 13) ~= 56 then return false end
  local got = redis.call('HMGET', run_key, 'parent', 'tick')
  local row = got[1] and 'wake|' .. got[1] .. '|' .. id or got[2]
  if not row then return false end
  redis.call('ZADD', timers_key, now, row)
  return true
end
`;

/** A line at the margin that begins with `local`, with all up to the next, and the names that it makes. */
interface Definition {
  names: string[];
  lua: string;
}

function definitionsOf(lua: string): Definition[] {
  const code = lua.replace(/^--.*\n/gm, "").trim();
  return code.split(/\n(?=local )/).map((each) => {
    const [, names = ""] = /^local (?:function )?([\w, ]+)/.exec(each) ?? [];
    return { names: names.trim().split(/, */), lua: each.trim() };
  });
}

const DEFINITIONS = definitionsOf(PRELUDE);

/** What a text needs of the prelude, directly or not, in its order. */
function neededBy(text: string): Definition[] {
  const needed: Definition[] = [];
  let all = text;
  for (const each of [...DEFINITIONS].reverse()) {
    if (!each.names.some((name) => new RegExp(`\\b${name}\\b`).test(all))) continue;
    needed.unshift(each);
    all += each.lua;
  }
  return needed;
}

/** The lines between which a script keeps what not every call of it makes. */
const BLOCK = /^--[{}]\n/m;

/**
 * Puts before a script what it needs of the prelude: each call makes all that stands there anew, which is most of what a call
 * costs that does little. What only a block between `--{` and `--}` needs is put at the start of that.
 */
export function withPrelude(script: string): string {
  const parts = script.split(BLOCK);
  const always = neededBy(parts.filter((_, i) => i % 2 === 0).join(""));
  const whole = parts.map((part, i) =>
    i % 2 === 0
      ? part
      : [
          ...neededBy(part)
            .filter((each) => !always.includes(each))
            .map(({ lua }) => lua),
          part,
        ].join("\n"),
  );
  return [...always.map(({ lua }) => lua), ...whole].join("\n");
}
