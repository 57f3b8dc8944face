/** A Lua script: its name, for errors and statistics, and its whole source. */
export interface Script {
  readonly name: string;
  readonly source: string;
}

/** What a script says of one thing that it was asked to do. The Lua side uses the same numbers. */
export const Reply = {
  Done: 1,
  /** It was so before: a repeated call, or a timer row that is no longer there. */
  Already: 0,
  /** The entry is not pending for this consumer with this delivery count. */
  NotOwner: -1,
  /** The run has ended; its entry is gone now. */
  RunEnded: -2,
  /** There is no such run; its entry is gone now. */
  UnknownRun: -3,
  /** A key holds another type than this schema says: nothing was written. */
  WrongType: -4,
  /** The step is at another place by now; the entry is gone. */
  Stale: -5,
} as const;
export type Reply = (typeof Reply)[keyof typeof Reply];

/**
 * What scripts share. A step's record in the run hash is one field, `step:NAME`, of eight words: status, attempt,
 * failures, crashes, place, started, ended, batch (`-` for none). The place is where a live step is: a stream entry's id,
 * `timer:ROW`, or `dead:ID` of a dead letter. The field `trimmed` counts the events that are no longer in the log.
 */
const PRELUDE = `
local GROUP = 'workers'
local DONE, ALREADY, NOT_OWNER, RUN_ENDED, UNKNOWN_RUN, WRONG_TYPE, STALE = 1, 0, -1, -2, -3, -4, -5
local LOG_EVENTS, LOG_BYTES, LOG_LOOK, NUDGE_BYTES = 10000, 4194304, 64, 8192
local LIVE = { queued = true, running = true, waiting = true }
-- By the letter of a type: the command that answers with a number for it and for no key, and else with an error.
local LENGTH_OF = { h = 'HLEN', l = 'LLEN', s = 'XLEN', z = 'ZCARD' }
local STEP = '^(%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+)$'

-- Milliseconds since 1970. (Numbers below 10^14 become text without a loss in this Lua.)
local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

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
  redis.call('PUBLISH', run_key, #text <= NUDGE_BYTES and last .. '\\n' .. text or last)
  return trimmed + drop
end
`;

/**
 * For the scripts that end a run from outside: takes every live step from its place. KEYS 1 is the run, 3 timers, 4
 * delayed, from 9 on the streams of its graph's steps; their names are in ARGV from `names` on.
 */
export const TAKE_STEPS = `
local function take_steps(workflow_version, names, now, fields)
  for i = 9, #KEYS do
    local step = ARGV[names + i - 9]
    local record = redis.call('HGET', KEYS[1], 'step:' .. step)
    local was, attempt, failures, crashes, place, started, ended, batch = string.match(record or '', STEP)
    if was and was ~= 'completed' and was ~= 'skipped' then
      local row = string.match(place, '^timer:(.+)$')
      if row then
        redis.call('ZREM', KEYS[3], row)
        redis.call('HINCRBY', KEYS[4], workflow_version .. ':' .. step, -1)
      elseif place ~= '-' then
        redis.pcall('XACK', KEYS[i], GROUP, place)
        redis.call('XDEL', KEYS[i], place)
      end
      fields[#fields + 1] = 'step:' .. step
      fields[#fields + 1] = table.concat({ 'cancelled', attempt, failures, crashes, '-', started, now, batch }, ' ')
    end
  end
end
`;

/** Defines a script in the dialect of Redis 6.2: no `#!lua` line, so the same source runs on 6.2 and later. */
export function script(name: string, lua: string): Script {
  return { name, source: `-- millrace ${name}\n${PRELUDE}\n${lua}` };
}
