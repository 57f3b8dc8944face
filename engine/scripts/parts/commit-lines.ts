/** What the script `commit` writes any item with: lines and fields, and what is written once for all of them. */
export const commitLines = `
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
`;
