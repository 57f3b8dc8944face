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
 * What scripts share. A step's record in the run hash is one field, `step:NAME`, of eight words:
 * status, attempt, failures, crashes, place, started, ended, batch (`-` for none). The place is where a live step is:
 * a stream entry's id, `timer:ROW`, or `dead:ID` of a dead letter. The field `log` is two numbers: how many events were
 * trimmed from the log, and how many bytes it holds.
 */
const PRELUDE = `
local GROUP = 'workers'
local DONE, ALREADY, NOT_OWNER, RUN_ENDED, UNKNOWN_RUN, WRONG_TYPE, STALE = 1, 0, -1, -2, -3, -4, -5
local LOG_EVENTS, LOG_BYTES, NUDGE_BYTES = 10000, 4194304, 8192
local LIVE = { queued = true, running = true, waiting = true }
local TYPES = { h = 'hash', l = 'list', s = 'stream', z = 'zset' }

local function int(n) return string.format('%.0f', n) end

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Which of KEYS hold another type than the letter in 'kinds' says. Redis does not roll a script back, so a key of the
-- wrong type has to be found before the first write.
local function wrong_types(kinds)
  local wrong, any = {}, false
  for i = 1, #KEYS do
    local type = redis.call('TYPE', KEYS[i]).ok
    if type ~= 'none' and type ~= TYPES[string.sub(kinds, i, i)] then
      wrong[i], any = true, true
    end
  end
  return wrong, any
end

local STEP = '^(%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+)$'
local function step_record(status, attempt, failures, crashes, place, started, ended, batch)
  return table.concat({ status, attempt, failures, crashes, place, started, ended, batch }, ' ')
end

-- Appends lines to a run's log, drops its oldest past the caps and nudges those who watch. Returns the new log field.
local function append(run_key, log_key, window, lines)
  local trimmed, bytes = string.match(window or '0 0', '^(%d+) (%d+)$')
  trimmed, bytes = tonumber(trimmed), tonumber(bytes)
  local text = table.concat(lines, '\\n')
  bytes = bytes + #text - #lines + 1
  local length = redis.call('RPUSH', log_key, unpack(lines))
  local last = trimmed + length
  local head = int(last - #lines + 1) .. ' ' .. int(last)
  while length > 1 and (length > LOG_EVENTS or bytes > LOG_BYTES) do
    bytes = bytes - #redis.call('LPOP', log_key)
    length, trimmed = length - 1, trimmed + 1
  end
  if #text <= NUDGE_BYTES then head = head .. '\\n' .. text end
  redis.call('PUBLISH', run_key, head)
  return int(trimmed) .. ' ' .. int(bytes)
end
`;

/** Defines a script in the dialect of Redis 6.2: no `#!lua` line, so the same source runs on 6.2 and later. */
export function script(name: string, lua: string): Script {
  return { name, source: `-- millrace ${name}\n${PRELUDE}\n${lua}` };
}
