/** How a run whose live steps were taken from their places comes to its end: what it has done is undone first. */
export const undoing = `
-- Begins to undo the step that was done last, of those that have an undo and are not undone. False if there is none.
-- 'steps' are {name, key of its stream, whether it has an undo}, in the order of the graph.
local function undo_next(run_key, id, tenant, steps)
  local latest, latest_end, latest_place
  -- Of steps that were done in the same millisecond, this says which was the last.
  local done = ' ' .. (redis.call('HGET', run_key, 'done') or '')
  for i = 1, #steps do
    local step = steps[i]
    if step.undo then
      local got = redis.call('HMGET', run_key, 'step:' .. step.name, 'undo:' .. step.name)
      local status, _, _, _, _, _, ended = string.match(got[1] or '', STEP)
      if status == 'completed' and not got[2] then
        local at, place = tonumber(ended), string.find(done, ' ' .. step.name .. ' ', 1, true) or 0
        if not latest or at > latest_end or at == latest_end and place >= latest_place then
          latest, latest_end, latest_place = step, at, place
        end
      end
    end
  end
  if not latest then return false end
  local entry = add_entry(latest.key, redis.call('HGET', run_key, 'trace'), 'run', id, 'tenant', tenant, 'input', '', 'wake', 'undo')
  redis.call('HSET', run_key, 'undo:' .. latest.name, 'queued 0 0 0 ' .. entry .. ' - - 0')
  return true
end
`;
