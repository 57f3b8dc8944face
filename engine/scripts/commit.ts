import { commitCheck } from "./parts/commit-check.ts";
import { commitGates } from "./parts/commit-gates.ts";
import { commitHeader } from "./parts/commit-header.ts";
import { commitLines } from "./parts/commit-lines.ts";
import { commitPass } from "./parts/commit-pass.ts";
import { commitUsage } from "./parts/commit-usage.ts";
import { commitWrites } from "./parts/commit-writes.ts";
import { undoing } from "./parts/undoing.ts";
import { tellingScript } from "./script.ts";

/**
 * Commits what up to 100 held entries have come to, each by itself and each with its own reply.
 *
 * KEYS  1 timers  2 delayed  then whatever is named below by its number; the keys after a run are its log and, where its
 *       graph has steps with items, what is kept of the live items of each, in the order of the graph
 * ARGV  1 consumer  2 a letter per key: its type (h l s z; r for a run, whose type its reading shows)
 *       3 how many characters of a run's key come before its id  4 how many tenants  5 how many graphs  6 how many streams
 *       7 how many forms
 *       8 how many items
 *       per tenant: its name, keys of its runs by status `queued` `running` `waiting` `completed` `failed`, key of its dead letters,
 *                   key of its ends, key of what it has parked (0 if all graphs are chains of tasks)
 *       per graph that is more than a chain of tasks, and lane: `workflow@version`, how many steps nothing comes after, how many steps;
 *                   of each: name, stream key, how many it comes after, its place among those with items or 0, whether it has
 *                   an undo (1 or 0), the first key of its gate or 0, how many come next, their places
 *       per stream: key, step, key of the dead-letter stream, delayed field; first entry, last entry, count: where to look
 *                   for the entries' owners in one call; which graph and which step of it, or 0 and, in a chain of tasks,
 *                   how many come next (0 or 1), (stream key, step)
 *       per form, which is what many items share: what they are, with a `#` behind it if they are about items of their step;
 *         which stream; delivery count; which tenant; attempt, failures and crashes as of this attempt, in one; ms since
 *         they started, to tell that they did ('' if that was told before); how many events each has; 1 if they say what was used, or 0
 *       per item: which form, entry, run key; with a `#`: the item's number, key of its chunk, its progress in thousandths (''
 *         for none); of a step with limits: how many tokens it has spent (0 but at its end); and if there are any events:
 *         their batch (1 2 3 …), progress to show ('' for none), the events; then
 *         events:     nothing
 *         released:   failures, crashes, input, item and wake of its new entry ('' for none)
 *         completed:  output, the input for the next entries (`=`: the output; '': they are to read it from the run), and
 *                     with a `#`: `fail` or `collect` of a map; of a loop `turn` if another follows, else `last`
 *         skipped:    nothing
 *         left:       as released: it is to pass its gate again
 *         gated:      the limits' key that it is of, the input for its entry, its lane (1 high 2 normal 3 low)
 *         parked:     timer row, which is its place until it is woken; when that is due: ms from now, `@` and a time, or ''
 *                     (something else wakes it); the field of a signal that wakes it at once ('' for none); the key of a run
 *                     that does, if it has ended (0 for none); item and input of the entry that wakes it
 *         expanded:   how many items, how many at once, the input of the first
 *         retrying:   error, event step.retrying, delay in ms, timer row
 *         collected#: error, event step.failed
 *         failed:     error, event step.failed, event run.failed, dead-letter id
 *       then per item that says what was used: its number, its batch, tokens, billionths of cost, the id of a dead letter,
 *         if it is one too many, key of the tenant's usage, how many keys, (key of its usage, tokens, billionths)
 * Returns  a Reply per item: Done, DoneAndDue (and a timer row is due now), NotOwner, RunEnded, UnknownRun, Stale; or WrongType
 *          for all, and nothing is written: the caller then sends the items one by one
 * Events  run.started, step.started, the item's own, step.completed or as the item says, step.skipped, run.waiting,
 *         run.completed; of a run that fails and has something to undo, run.failed is kept until that is done
 *
 * All is read and checked before the first write. That is XACK, or XCLAIM where no entry is given up: both are allowed
 * over the memory limit, and so is all that follows them. A refused item whose run has ended or is unknown gives its
 * entry up; any other refusal leaves all as it was.
 */
export const commit = tellingScript(
  "commit",
  `
local call, match, sub, ARGV, KEYS = redis.call, string.match, string.sub, ARGV, KEYS
local consumer, id_at, item_count = ARGV[1], tonumber(ARGV[3]) + 1, tonumber(ARGV[8])
local replies = {}

local function refuse_all()
  for i = 1, item_count do replies[i] = WRONG_TYPE end
  return replies
end
local _, any_wrong = wrong_types(ARGV[2])
if any_wrong then return refuse_all() end

${commitHeader}
${commitCheck}
local claim, others
for i = 1, item_count do
  local form, entry = forms[ARGV[at]], ARGV[at + 1]
  local reply = check(i, at, form, entry)
  if reply == WRONG_TYPE then return refuse_all() end
  if reply == PASSES then passing[i], reply = true, DONE else others = true end
  places[i], form_of[i], replies[i] = at, form, reply
  if reply == DONE and form.kind == 'events' then
    claim = claim or i
  elseif reply ~= NOT_OWNER then
    local gone = form.stream.gone
    gone[#gone + 1] = entry
  end
  at = at + form.size
end

if claim then call('XCLAIM', form_of[claim].stream.key, GROUP, consumer, 0, ARGV[places[claim] + 1], 'JUSTID') end
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
${commitLines}
${commitPass}
local write, forget_slot, turn_gates
if others then
--{
${undoing}
${commitWrites}
${commitUsage}
${commitGates}
function write(i, at)
  local run, form = run_of[i], form_of[i]
  local stream, tenant, kind, counts, ago, id = form.stream, form.tenant, form.kind, form.counts, form.ago, run.id
  local status, started, batch, place, ended = was_status[i], was_started[i], was_batch[i], ARGV[at + 1], '-'
  local graph, finish, due, items, more = stream.graph, nil, false, nil, at + 3
  local item, item_named, mean, gate, last = '', '', false, stream.gate, '{"type":"run.completed"}'
  n, f, delta, over = 0, 2, 0, false
  if form.of_item then
    items, item = items_of(run, stream), ARGV[more]
    item_named, more = '"item":' .. item .. ',', more + 3
  end
  if gate then
    if let_in[i] then
      status = 'queued'
      if not items then go_on(run, tenant) end
    end
    if kind ~= 'events' and kind ~= 'released' then give_up_slot(gate, i, id, item, tonumber(ARGV[more])) end
    more = more + 1
  end

  if ago ~= '' and not (status == 'running' and was_counts[i] == counts) then
    started, batch, status = time_ago(ago), 0, 'running'
    local stamp = stamp_ago(ago)
    if run.status == 'queued' then
      run.status = 'running'
      set('status', 'running')
      move(run, tenant.queued, tenant.running)
      tell(stamp .. ' {"type":"run.started"}')
    end
    n = n + 1
    lines[n] = items and stamp .. stream.started .. item_named .. form.attempt or begun_line(form, stamp)
  end
  local use = spent[i]
  local broke = use and spend(use, run, stream, batch, counts, item_named)
  local events = form.events
  if events > 0 then
    if tonumber(ARGV[more]) > batch then
      batch = tonumber(ARGV[more])
      for k = more + 2, more + 1 + events do tell(at_now .. ARGV[k]) end
      if items and ARGV[at + 5] ~= '' then
        progress_item(items, item, tonumber(ARGV[at + 5]))
        mean = true
      elseif not items and ARGV[more + 1] ~= '' then
        set('progress:' .. stream.step, ARGV[more + 1])
      end
    end
    more = more + 2 + events
  end

  if use then batch = math.max(batch, use.batch) end
  -- A step that can be undone is done, all of it, before its run fails: it is undone with the others.
  local undone = broke and can_be_undone(kind, graph, stream, items, ARGV[more + 2])
  if broke and not undone then kind, mean = give_up(i, kind, stream, place), false end

  -- A step without items is settled by its own end, one with items by that of the last.
  local settled, taken, input = false, true, ''
  if kind == 'completed' then
    local output = ARGV[more]
    input = ARGV[more + 1]
    if input == '=' then input = output end
    status, place, ended, settled = kind, '-', now_text, true
    n = n + 1
    lines[n] = items and at_now .. stream.completed .. item_named .. form.attempt or completed_line(form)
    if items then
      call('HSET', KEYS[tonumber(ARGV[at + 4])], item, output)
      items.done = items.done + 1
      local turn = ARGV[more + 2]
      settled = end_item(run, id, tenant, stream, items, item, turn == 'last', turn == 'turn' and input)
      if turn == 'fail' or turn == 'collect' then
        output, input, mean = '#' .. id .. '|' .. stream.step .. '|' .. items.total .. '|' .. turn, '', true
      end
    end
    if settled then
      fields[f + 1], fields[f + 2] = stream.output, output
      f = f + 2
    end
  elseif kind == 'skipped' then
    status, place, ended, settled, taken = kind, '-', now_text, true, false
    tell(at_now .. '{"type":"step.skipped","step":"' .. stream.step .. '"}')
  elseif kind == 'released' or kind == 'left' then
    place = add(kind == 'left' and graph[stream.index].key or stream.key, run, id, tenant, ARGV[more + 2], ARGV[more + 3], ARGV[more + 4], ARGV[more], ARGV[more + 1])
    if gate and kind == 'released' then keep_slot(gate, id, item, place) end
    status, started, batch = 'queued', ARGV[more + 4] == '' and '-' or started, 0
  elseif kind == 'parked' then
    local row, due_at, signal, child = ARGV[more], ARGV[more + 1], ARGV[more + 2], tonumber(ARGV[more + 3])
    local wake = signal ~= '' and call('HEXISTS', run.key, signal) == 1 and 'signal'
    if child > 0 then
      local child_status = call('HGET', KEYS[child], 'status') or ''
      if not LIVE[child_status] and child_status ~= 'undoing' then wake = 'child' end
    end
    if wake then
      -- What it has behind it goes along, as it does where a signal or a timer wakes it.
      local failures, crashes = match(counts, '^%d+ (%d+) (%d+)$')
      if failures == '0' and crashes == '0' then failures = nil end
      status, place, batch = 'queued', add(stream.key, run, id, tenant, ARGV[more + 5], ARGV[more + 4], wake, failures, crashes), 0
    else
      status, place = 'waiting', 'timer:' .. row
      if due_at ~= '' then
        local time = string.sub(due_at, 1, 1) == '@' and math.max(now, tonumber(string.sub(due_at, 2))) or now + tonumber(due_at)
        call('ZADD', KEYS[1], time, row)
        call('HINCRBY', KEYS[2], stream.delayed, 1)
        if not items then set('due:' .. stream.step, time) end
      end
      if not items then delta = -1 end
    end
  elseif kind == 'gated' then
    local failures, crashes = match(counts, '^%d+ (%d+) (%d+)$')
    place = enter_gate(gate, tonumber(ARGV[more + 2]), ARGV[more], id, item, tenant.name, ARGV[more + 1], failures, crashes, now, run.trace)
    status = string.sub(place, 1, 5) == 'gate:' and 'waiting' or 'queued'
    if status == 'waiting' and not items then delta = -1 end
  elseif kind == 'expanded' then
    status, place = 'running', 'items'
    local total, limit = tonumber(ARGV[more]), tonumber(ARGV[more + 1])
    items = items_of(run, stream)
    items.total, items.started, items.done, items.failed, items.sum, items.limit = total, 0, 0, 0, 0, limit
    for _ = 1, math.min(total, limit, 100) do begin_item(run, id, tenant, stream, items, ARGV[more + 2]) end
  elseif kind == 'retrying' then
    status, place = kind, 'timer:' .. ARGV[more + 3]
    if items then call('HSET', KEYS[tonumber(ARGV[at + 4])], 'e' .. item, ARGV[more])
    else set('error:' .. stream.step, ARGV[more]) end
    tell(at_now .. ARGV[more + 1])
    call('ZADD', KEYS[1], now + tonumber(ARGV[more + 2]), ARGV[more + 3])
    call('HINCRBY', KEYS[2], stream.delayed, 1)
  elseif kind == 'collected' then
    call('HSET', KEYS[tonumber(ARGV[at + 4])], 'e' .. item, ARGV[more])
    tell(at_now .. ARGV[more + 1])
    status, place, ended = 'failed', '-', now_text
    items.failed = items.failed + 1
    settled = end_item(run, id, tenant, stream, items, item, false)
    mean = true
    if settled then set(stream.output, '#' .. id .. '|' .. stream.step .. '|' .. items.total .. '|collect') end
  elseif kind == 'failed' then
    local error, told, told_of_run, letter_id = ARGV[more], ARGV[more + 1], ARGV[more + 2], ARGV[more + 3]
    if broke then error, told, told_of_run, letter_id = unpack(broke) end
    local letter = { 'id', letter_id, 'run', id, 'tenant', tenant.name, 'attempt', match(counts, '^%d+'), 'error', error }
    if items then letter[11], letter[12] = 'item', item end
    letter = call('XADD', stream.dead, '*', unpack(letter))
    call('ZADD', tenant.dead, now_text, letter_id)
    set('error:' .. stream.step, error)
    set('error', error)
    set('dead:' .. place, stream.step .. ' ' .. letter .. (item == '' and '' or ' ' .. item))
    tell(at_now .. told)
    last = told_of_run
    status, place, ended, finish = kind, 'dead:' .. letter, now_text, 'failed'
  end

  if items and mean then tell_mean(stream, items) end
  if settled then
    if not graph then
      over = not stream.next
      if stream.next then
        local entry = add_entry(stream.next, run.trace, 'run', id, 'tenant', tenant.name, 'input', input)
        fields[f + 1], fields[f + 2] = stream.next_record, 'queued 0 0 0 ' .. entry .. ' - - 0'
        f = f + 2
      end
    else
      delta = -1
      if not undone then settle(run, id, tenant, graph, stream.index, taken, input) end
      if taken and graph[stream.index].undo then set('done', (call('HGET', run.key, 'done') or '') .. stream.step .. ' ') end
    end
    if over then finish = 'completed' end
  end
  if undone then
    set('error', broke[1])
    last, finish = broke[5], 'failed'
  end

  local record = status .. ' ' .. counts .. ' ' .. place .. ' ' .. started .. ' ' .. ended .. ' ' .. batch
  fields[1], fields[2] = stream.record, record
  if items then
    local step_status, step_counts, _, step_started, step_batch = match(run[stream.record] or '', RECORD)
    if kind == 'expanded' then
      record = 'running ' .. counts .. ' items ' .. started .. ' - ' .. batch
    elseif kind == 'failed' then
      call('HSET', items.live, item, record)
      record = 'failed ' .. step_counts .. ' ' .. place .. ' ' .. step_started .. ' ' .. now_text .. ' ' .. step_batch
    elseif settled then
      record = 'completed ' .. step_counts .. ' - ' .. step_started .. ' ' .. now_text .. ' ' .. step_batch
      tell(at_now .. stream.completed .. attempt_of[step_counts])
    else
      if ended == '-' then
        call('HSET', items.live, item, record)
        begin_items(run, id, tenant, stream, items)
      end
      record = run[stream.record]
    end
    fields[2] = record
    set(items.field, items.total .. ' ' .. items.started .. ' ' .. items.done .. ' ' .. items.failed .. ' ' .. items.sum .. ' ' ..
      items.told .. ' ' .. items.limit)
  end
  run[stream.record] = record

  -- What begins to undo reads the step that has just ended.
  if undone then call('HSET', run.key, unpack(fields, 1, f)) end
  if finish == 'failed' and graph and fail_steps(run, id, tenant, graph, stream.step) then
    move(run, tenant[run.status], tenant.running)
    run.status = 'undoing'
    set('status', 'undoing')
    set('ending', 'failed ' .. last)
  elseif finish then
    tell(at_now .. last)
    move(run, tenant[run.status], tenant[finish])
    run.status = finish
    set('status', finish)
    set('endedAt', now_text)
    note(tenant, run, stream.workflow)
    due = tell_waiting(run.key, KEYS[1], id, now_text)
  elseif graph and delta ~= 0 and call('HINCRBY', run.key, 'active', delta) == 0 then
    if run.status == 'queued' then set('unstarted', '1') end
    move(run, tenant[run.status], tenant.waiting)
    run.status = 'waiting'
    set('status', 'waiting')
    tell(at_now .. '{"type":"run.waiting"}')
  end
  call('HSET', run.key, unpack(fields, 1, f))
  if n > 0 then run.trimmed = append(run.key, run.log, run.trimmed, lines, n) end
  if due and replies[i] == DONE then replies[i] = DONE_AND_DUE end
end
--}
end

for i = 1, item_count do
  -- An earlier item of this group may have ended the run: this one's entry is gone, and that is all there is to do.
  if replies[i] == DONE then
    if not LIVE[run_of[i].status] then replies[i] = RUN_ENDED
    elseif passing[i] then pass(i, places[i])
    else write(i, places[i]) end
  elseif replies[i] == UNKNOWN_RUN or replies[i] == STALE then
    forget_slot(i, places[i])
  end
end
settle_indexes()
if others then turn_gates() end
return replies
`,
);
