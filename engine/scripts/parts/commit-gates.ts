/** What the script `commit` does at the gates of steps with limits. */
export const commitGates = `
-- A step that waited at its gate is at work again, and so is its run.
local function go_on(run, tenant)
  call('HINCRBY', run.key, 'active', 1)
  if run.status ~= 'waiting' then return end
  run.status = call('HDEL', run.key, 'unstarted') == 1 and 'queued' or 'running'
  set('status', run.status)
  move(run, tenant.waiting, tenant[run.status])
end

local function give_up_slot(gate, i, id, item, tokens)
  gate.last = i
  if tokens > 0 then spend_at_gate(gate, id, item, tokens, now) end
  leave_gate(gate, id, item, now)
end

-- What is given back keeps its slot, which goes with the new entry.
local function keep_slot(gate, id, item, entry)
  local key, _, lane = slot_of(gate, id, item)
  if key then call('HSET', gate.hash, 'h ' .. id .. ' ' .. item, key .. ' ' .. entry .. ' ' .. lane) end
end

-- The run is gone, or its step is elsewhere, and does not leave its slot behind.
function forget_slot(i, at)
  local item = form_of[i].of_item and ARGV[at + 3] or ''
  local gate = form_of[i].stream.gate
  if not gate then return end
  local id = string.sub(KEYS[tonumber(ARGV[at + 2])], id_at)
  if replies[i] == UNKNOWN_RUN or given_slot(gate, id, item) == ARGV[at + 1] then leave_gate(gate, id, item, now) end
end

-- Those whose turn it is now start.
function turn_gates()
  for i = 1, #gates do
    local gate = gates[i]
    if gate.touched and turn_gate(gate, KEYS[1], now) and gate.last and replies[gate.last] == DONE then
      replies[gate.last] = DONE_AND_DUE
    end
  end
end
`;
