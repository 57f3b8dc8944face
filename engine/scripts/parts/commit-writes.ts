/**
 * What the script `commit` writes with: lines and fields, a step's end as its graph has it, and the items of maps and
 * loops. It uses what `commit` has read by then.
 */
export const commitWrites = `
-- The time that was so many ms ago, as text.
local function time_ago(ago)
  local time = times[ago]
  if not time then
    time = (now - tonumber(ago)) .. ''
    times[ago] = time
  end
  return time
end

-- What stands before an event that happened so many ms ago: times of a log only grow, so when it was stored comes first.
local function stamp_ago(ago) return ago == '0' and now_text or now_text .. '~' .. ago end

-- What is told of every item of a form, of steps without items.
local function begun_line(form, stamp)
  form.begun = form.begun or stamp .. form.stream.started .. form.attempt
  return form.begun
end
local function completed_line(form)
  form.completed = form.completed or at_now .. form.stream.completed .. form.attempt
  return form.completed
end

-- What is written of the item at hand: lines of the log, fields of the run, by how many more steps are at work, and
-- whether that was the last of the graph.
local lines, n, fields, f, delta, over = {}, 0, {}, 2, 0, false
local function tell(line)
  n = n + 1
  lines[n] = line
end
local function set(field, value)
  fields[f + 1], fields[f + 2] = field, value
  f = f + 2
end

-- Runs go from index to index, and those that end are noted, together at the end: see settle_indexes.
local moving, ending = {}, {}
local function move(run, from, to)
  if from == to then return end
  if not run.was_in then
    run.was_in = from
    moving[#moving + 1] = run
  end
  run.is_in = to
end

local function note(tenant, run, workflow)
  if not tenant.ended then
    tenant.ended = {}
    ending[#ending + 1] = tenant
  end
  tenant.ended[#tenant.ended + 1] = end_line(now_text, run.id, workflow)
end

local function settle_indexes()
  local from, to = {}, {}
  for i = 1, #moving do
    local run = moving[i]
    if run.was_in ~= run.is_in then
      local ids, scored = from[run.was_in] or {}, to[run.is_in] or {}
      from[run.was_in], to[run.is_in] = ids, scored
      ids[#ids + 1] = run.id
      scored[#scored + 1] = run.created
      scored[#scored + 1] = run.id
    end
  end
  for key, ids in pairs(from) do call('ZREM', key, unpack(ids)) end
  for key, scored in pairs(to) do call('ZADD', key, unpack(scored)) end
  for i = 1, #ending do note_ends(ending[i].ends, ending[i].ended) end
end

-- Adds an entry; 'item' and 'wake' are '' where there is none.
local function add(key, run, id, tenant, input, item, wake, failures, crashes)
  if item == '' and wake == '' and not failures then
    return add_entry(key, run.trace, 'run', id, 'tenant', tenant.name, 'input', input)
  end
  local entry = { 'run', id, 'tenant', tenant.name, 'input', input }
  local function put(field, value)
    entry[#entry + 1] = field
    entry[#entry + 1] = value
  end
  if failures then
    put('failures', failures)
    put('crashes', crashes)
  end
  if item ~= '' then put('item', item) end
  if wake ~= '' then put('wake', wake) end
  return add_entry(key, run.trace, unpack(entry))
end

-- A step is done, or is not taken: what comes after it is counted down, begins, or is not taken either.
local function settle(run, id, tenant, graph, index, taken, input)
  local step = graph[index]
  if #step.next == 0 then
    over = graph.ends == 1 or call('HINCRBY', run.key, 'ends', 1) == graph.ends
  end
  for k = 1, #step.next do
    local following = graph[step.next[k]]
    local go, ready, given = taken, true, input
    if following.needs > 1 then
      local counts = run[following.join] or call('HGET', run.key, following.join) or '0 0'
      local came, took = match(counts, '^(%d+) (%d+)$')
      came, took = came + 1, took + (taken and 1 or 0)
      run[following.join] = came .. ' ' .. took
      call('HSET', run.key, following.join, run[following.join])
      go, ready, given = took > 0, came == following.needs, ''
    end
    if ready and go then
      set(following.record, 'queued 0 0 0 ' .. add(following.key, run, id, tenant, given, '', '') .. ' - - 0')
      delta = delta + 1
    elseif ready then
      set(following.record, 'skipped 0 0 0 - - ' .. now_text .. ' 0')
      tell(at_now .. '{"type":"step.skipped","step":"' .. following.name .. '"}')
      settle(run, id, tenant, graph, step.next[k], false, '')
    end
  end
end

local ITEMS = '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+)$'
local function items_of(run, stream)
  local field = 'items:' .. stream.step
  local items = run[field]
  if not items then
    local total, started, done, failed, sum, told, limit = match(call('HGET', run.key, field) or '0 0 0 0 0 0 0', ITEMS)
    items = { field = field, total = tonumber(total), started = tonumber(started), done = tonumber(done),
      failed = tonumber(failed), sum = tonumber(sum), told = tonumber(told), limit = tonumber(limit),
      live = KEYS[run.number + 1 + stream.graph[stream.index].items] }
    run[field] = items
  end
  return items
end

local function begin_item(run, id, tenant, stream, items, input)
  local item = items.started .. ''
  call('HSET', items.live, item, 'queued 0 0 0 ' .. add(stream.graph[stream.index].key, run, id, tenant, input, item, '') .. ' - - 0')
  items.started = items.started + 1
end

-- Begins the next items, two at the most: whatever comes of one brings on others, until 'limit' are at work.
local function begin_items(run, id, tenant, stream, items)
  local ended = items.done + items.failed
  for _ = 1, 2 do
    if items.started < items.total and items.started - ended < items.limit then
      begin_item(run, id, tenant, stream, items, '')
    end
  end
end

-- The place of an item's progress in what is kept of the live ones: after a letter, since its record has the number alone.
local function progress_item(items, item, thousandths)
  local was = call('HGET', items.live, 'p' .. item)
  items.sum = items.sum + thousandths - (was or 0)
  if thousandths > 0 then call('HSET', items.live, 'p' .. item, thousandths) end
end

-- Ends an item: the next ones begin, the step's progress is the mean of theirs. True if it was the last.
local function end_item(run, id, tenant, stream, items, item, last, input)
  progress_item(items, item, 0)
  call('HDEL', items.live, item, 'p' .. item, 'c' .. item)
  if last or items.done + items.failed == items.total then return true end
  if input then begin_item(run, id, tenant, stream, items, input) else begin_items(run, id, tenant, stream, items) end
  return false
end

-- Takes what is live beside the step that failed from its place. True if something is undone before the run ends.
local function fail_steps(run, id, tenant, graph, except)
  local steps = {}
  for k = 1, #graph do
    local step = graph[k]
    steps[k] = { name = step.name, key = step.key, live = step.items > 0 and KEYS[run.number + 1 + step.items],
      undo = step.undo, gate = gate_of(graph, k) }
  end
  end_steps(run.key, id, KEYS[1], KEYS[2], tenant.parked, graph.version, steps, except, now_text, set)
  return undo_next(run.key, id, tenant.name, steps)
end

-- The mean, at most four times a second; that it is whole, the end of the step tells.
local function tell_mean(stream, items)
  local whole = items.done + items.failed == items.total
  if now - items.told < 250 and not whole then return end
  items.told = now
  local mean = string.format('{"progress":%.4g}', ((items.done + items.failed) * 1000 + items.sum) / (items.total * 1000))
  set('progress:' .. stream.step, mean)
  if not whole then tell(at_now .. '{"type":"step.progress","step":"' .. stream.step .. '","data":' .. mean .. '}') end
end
`;
