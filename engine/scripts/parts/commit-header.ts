/** Reads what the items of a group share: tenants, graphs, streams and who owns what in those, and the forms of the items. */
export const commitHeader = `
-- The gate of a step with limits; nil for others. Opened when it is first come to.
local gates = {}
local function gate_of(graph, index)
  local step = graph and graph[index]
  if not step or step.limits == 0 then return nil end
  if not step.gate then
    step.gate = open_gate(step.limits, graph.version, step.name)
    gates[#gates + 1] = step.gate
  end
  return step.gate
end

local at, tenants, graphs, streams, forms = 9, {}, {}, {}, {}
for i = 1, tonumber(ARGV[4]) do
  tenants[i .. ''] = { name = ARGV[at], queued = KEYS[tonumber(ARGV[at + 1])], running = KEYS[tonumber(ARGV[at + 2])],
    waiting = KEYS[tonumber(ARGV[at + 3])], completed = KEYS[tonumber(ARGV[at + 4])],
    failed = KEYS[tonumber(ARGV[at + 5])], dead = KEYS[tonumber(ARGV[at + 6])], ends = KEYS[tonumber(ARGV[at + 7])],
    parked = KEYS[tonumber(ARGV[at + 8])] }
  at = at + 9
end
for i = 1, tonumber(ARGV[5]) do
  local graph = { version = ARGV[at], ends = tonumber(ARGV[at + 1]) }
  local steps = tonumber(ARGV[at + 2])
  at = at + 3
  for k = 1, steps do
    local step = { name = ARGV[at], key = KEYS[tonumber(ARGV[at + 1])], record = 'step:' .. ARGV[at], needs = tonumber(ARGV[at + 2]),
      items = tonumber(ARGV[at + 3]), undo = ARGV[at + 4] == '1', join = 'join:' .. ARGV[at], next = {},
        limits = tonumber(ARGV[at + 5]) }
    for n = 1, tonumber(ARGV[at + 6]) do step.next[n] = tonumber(ARGV[at + 6 + n]) end
    graph[k] = step
    at = at + 7 + #step.next
  end
  graphs[i .. ''] = graph
end
for i = 1, tonumber(ARGV[6]) do
  local step, count = ARGV[at + 1], tonumber(ARGV[at + 6])
  local named = ',"step":"' .. step .. '",'
  local stream = { key = KEYS[tonumber(ARGV[at])], step = step, record = 'step:' .. step, output = 'output:' .. step,
    dead = KEYS[tonumber(ARGV[at + 2])], delayed = ARGV[at + 3], workflow = string.match(ARGV[at + 3], '^[^@]+'), started = ' {"type":"step.started"' .. named,
    completed = '{"type":"step.completed"' .. named, counts = {}, gone = {}, graph = graphs[ARGV[at + 7]] }
  -- The delivery counts of the entries that this consumer owns.
  local pending = redis.pcall('XPENDING', stream.key, GROUP, ARGV[at + 4], ARGV[at + 5], count, consumer)
  if not pending.err then
    for k = 1, #pending do stream.counts[pending[k][1]] = pending[k][4] end
    stream.more = #pending >= count
  end
  if stream.graph then
    stream.index = tonumber(ARGV[at + 8])
    stream.gate = gate_of(stream.graph, stream.index)
    at = at + 9
  elseif ARGV[at + 8] == '1' then
    stream.next, stream.next_record = KEYS[tonumber(ARGV[at + 9])], 'step:' .. ARGV[at + 10]
    at = at + 11
  else
    at = at + 9
  end
  streams[i], streams[i .. ''] = stream, stream
end

local attempt_of = setmetatable({}, { __index = function(known, counts)
  known[counts] = '"attempt":' .. match(counts, '^%d+') .. '}'
  return known[counts]
end })
-- How many arguments an item has of its own.
local OWN = { events = 0, released = 5, completed = 2, skipped = 0, gated = 3, left = 5, parked = 6, expanded = 3, retrying = 4,
  collected = 2, failed = 4 }
for i = 1, tonumber(ARGV[7]) do
  local kind, stream, counts, events = ARGV[at], streams[ARGV[at + 1]], ARGV[at + 4], tonumber(ARGV[at + 6])
  local form = { stream = stream, count = tonumber(ARGV[at + 2]), tenant = tenants[ARGV[at + 3]], counts = counts,
    ago = ARGV[at + 5], events = events, attempt = attempt_of[counts] }
  form.kind, form.of_item = match(kind, '^(%a+)(#?)$')
  form.of_item = form.of_item == '#'
  form.size = 3 + OWN[form.kind] + (form.of_item and (form.kind == 'completed' and 4 or 3) or 0)
    + (events > 0 and events + 2 or 0) + (stream.gate and 1 or 0)
  form.passes = form.kind == 'completed' and events == 0 and form.ago ~= '' and not stream.graph and ARGV[at + 7] == '0'
  forms[i .. ''] = form
  at = at + 8
end
`;
