/** How a run whose live steps were taken from their places comes to its end: what it has done is undone first. */
export const undoing = `
-- Begins to undo the step that was done last, of those that have an undo and are not undone. False if there is none.
-- 'steps' are {name, key of its stream, whether it has an undo}, in the order of the graph.
local function undo_next(run_key, id, tenant, steps)
  local latest, latest_end
  for i = 1, #steps do
    local step = steps[i]
    if step.undo then
      local got = redis.call('HMGET', run_key, 'step:' .. step.name, 'undo:' .. step.name)
      local status, _, _, _, _, _, ended = string.match(got[1] or '', STEP)
      if status == 'completed' and not got[2] and (not latest or tonumber(ended) >= latest_end) then
        latest, latest_end = step, tonumber(ended)
      end
    end
  end
  if not latest then return false end
  local entry = redis.call('XADD', latest.key, '*', 'run', id, 'tenant', tenant, 'input', '', 'wake', 'undo')
  redis.call('HSET', run_key, 'undo:' .. latest.name, 'queued 0 0 0 ' .. entry .. ' - - 0')
  return true
end
`;
