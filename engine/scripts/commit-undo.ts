import { sumUsage } from "./parts/sum-usage.ts";
import { undoing } from "./parts/undoing.ts";
import { tellingScript } from "./script.ts";

/**
 * Commits what one held entry that undoes a step has come to. Once that is undone, or cannot be, the next step's turn has
 * come; after the last one the run ends as it was to.
 *
 * KEYS  1 run  2 log  3 timers  4 delayed  5 the step's stream  6 its dead-letter stream  7 the tenant's dead letters
 *       8 9 10 runs by status `running` `failed` `cancelled`  11 the tenant's ends  12… the stream of each step that has an undo;
 *       and if it says what was used: the tenant's usage, and that of each key
 * ARGV  1 run id  2 tenant  3 step  4 consumer  5 entry  6 delivery count
 *       7 what it is: `events` `completed` `released` `retrying` `failed`
 *       8 attempt, failures and crashes as of this attempt, in one  9 ms since it started, to tell that it did; '' if that
 *       was told before  10 event step.started  11 the events' batch (1 2 3 …)  12 how many events
 *       13 how many keys of usage there are  14 workflow  15… of each of these tokens and billionths of cost; the names of
 *       the steps that have an undo; the events; and then
 *         completed:  event step.completed
 *         released:   failures, crashes
 *         retrying:   error, event step.retrying, delay in ms, timer row, delayed field
 *         failed:     error, event step.failed, dead-letter id, the entry in it
 * Returns  Done; DoneAndDue (and a timer row is due now); NotOwner; RunEnded; UnknownRun; Stale; WrongType
 * What was used is counted with its batch, and whatever the run's budget says: what is begun is undone.
 * Events  step.started, the entry's own, step.completed or as it says; run.failed or run.cancelled
 *
 * Its first write is XACK or XCLAIM, both allowed over the memory limit, and so is all that follows.
 */
export const commitUndo = tellingScript(
  "commit-undo",
  `${undoing}
local call, match = redis.call, string.match
local id, tenant, step, entry, kind, counts, ago = ARGV[1], ARGV[2], ARGV[3], ARGV[5], ARGV[7], ARGV[8], ARGV[9]
local steps, uses = {}, tonumber(ARGV[13])
local names = 14 + 2 * uses
for i = 1, #KEYS - 11 - uses do steps[i] = { name = ARGV[names + i], key = KEYS[11 + i], undo = true } end
local _, any = wrong_types('hlzhsszzzzl' .. string.rep('s', #steps) .. string.rep('h', uses))
if any then return WRONG_TYPE end
local pending = redis.pcall('XPENDING', KEYS[5], GROUP, entry, entry, 1, ARGV[4])
if pending.err or not pending[1] or pending[1][4] ~= tonumber(ARGV[6]) then return NOT_OWNER end
local got = call('HMGET', KEYS[1], 'status', 'createdAt', 'trimmed', 'ending', 'undo:' .. step, 'trace')
local status, was_counts, place, started, batch = match(got[5] or '', '^(%S+) (%S+ %S+ %S+) (%S+) (%S+) %S+ (%S+)$')
local reply = DONE
if not got[1] then reply = UNKNOWN_RUN
elseif got[1] ~= 'undoing' then reply = RUN_ENDED
elseif place ~= entry then reply = STALE end
if reply == DONE and kind == 'events' then
  call('XCLAIM', KEYS[5], GROUP, ARGV[4], 0, entry, 'JUSTID')
else
  call('XACK', KEYS[5], GROUP, entry)
  call('XDEL', KEYS[5], entry)
end
if reply ~= DONE then return reply end

local now, lines, fields, ended = now_ms(), {}, {}, '-'
local at_now = now .. ' '
local function tell(line) lines[#lines + 1] = line end
local function set(field, value)
  fields[#fields + 1] = field
  fields[#fields + 1] = value
end
if ago ~= '' and not (status == 'running' and was_counts == counts) then
  started, batch, status = now - tonumber(ago), 0, 'running'
  tell((ago == '0' and now or now .. '~' .. ago) .. ' ' .. ARGV[10])
end
local more, events = names + 1 + #steps, tonumber(ARGV[12])
if tonumber(ARGV[11]) > tonumber(batch) then
  batch = ARGV[11]
  for k = more, more + events - 1 do tell(at_now .. ARGV[k]) end
  if uses > 0 then
    local timers = KEYS[3]
    ${sumUsage}
    local function used(k) return KEYS[11 + #steps + k], tonumber(ARGV[13 + 2 * k]), tonumber(ARGV[14 + 2 * k]) end
    local daily, tokens, cost = used(1)
    local use = { daily = daily, tokens = tokens, cost = cost, keyed = {} }
    for k = 2, uses do use.keyed[k - 1] = { used(k) } end
    add_usage(KEYS[1], step, ARGV[14], use)
  end
end
more = more + events
if kind == 'completed' then
  status, place, ended = kind, '-', now
  tell(at_now .. ARGV[more])
elseif kind == 'released' then
  place = add_entry(KEYS[5], got[6], 'run', id, 'tenant', tenant, 'input', '', 'failures', ARGV[more],
    'crashes', ARGV[more + 1], 'wake', 'undo')
  status, started, batch = 'queued', '-', 0
elseif kind == 'retrying' then
  local row = ARGV[more + 3]
  status, place = kind, 'timer:' .. row
  set('undoError:' .. step, ARGV[more])
  tell(at_now .. ARGV[more + 1])
  call('ZADD', KEYS[3], now + tonumber(ARGV[more + 2]), row)
  call('HINCRBY', KEYS[4], ARGV[more + 4], 1)
elseif kind == 'failed' then
  local letter = call('XADD', KEYS[6], '*', 'id', ARGV[more + 2], 'run', id, 'tenant', tenant,
    'attempt', match(counts, '^%d+'), 'error', ARGV[more], 'undo', '1')
  call('ZADD', KEYS[7], now, ARGV[more + 2])
  set('undoError:' .. step, ARGV[more])
  set('dead:' .. ARGV[more + 3], step .. ' ' .. letter .. ' undo')
  tell(at_now .. ARGV[more + 1])
  status, place, ended = kind, 'dead:' .. letter, now
end
set('undo:' .. step, status .. ' ' .. counts .. ' ' .. place .. ' ' .. started .. ' ' .. ended .. ' ' .. batch)
call('HSET', KEYS[1], unpack(fields))

if ended ~= '-' and not undo_next(KEYS[1], id, tenant, steps) then
  local final, event = match(got[4], '^(%a+) (.*)$')
  tell(at_now .. event)
  call('ZREM', KEYS[8], id)
  call('ZADD', KEYS[final == 'failed' and 9 or 10], got[2], id)
  call('HSET', KEYS[1], 'status', final, 'endedAt', now)
  note_ends(KEYS[11], { end_line(now, id, ARGV[14]) })
  if tell_waiting(KEYS[1], KEYS[3], id, now) then reply = DONE_AND_DUE end
end
if #lines > 0 then append(KEYS[1], KEYS[2], got[3], lines, #lines) end
return reply
`,
);
