import { sumUsage } from "./sum-usage.ts";

/**
 * What the script `commit` does with what items say was used: it is summed for the run, the step, the tenant and keys, and
 * a run that is over its budget fails. It uses what `commit` has read by then; `at` is behind the items.
 */
export const commitUsage = `
-- What was used by the number of an item. Where nobody says that, nothing is made of it.
local spent, spend, give_up, can_be_undone = {}
if ARGV[at] then
  while ARGV[at] do
    local use = { batch = tonumber(ARGV[at + 1]), tokens = tonumber(ARGV[at + 2]), cost = tonumber(ARGV[at + 3]),
      letter = ARGV[at + 4], daily = KEYS[tonumber(ARGV[at + 5])], keyed = {} }
    spent[tonumber(ARGV[at])] = use
    local keys = tonumber(ARGV[at + 6])
    at = at + 7
    for k = 1, keys do
      use.keyed[k] = { KEYS[tonumber(ARGV[at])], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]) }
      at = at + 3
    end
  end

  local timers = KEYS[1]
${sumUsage}
  -- What it fails with, if the run has a budget and this is over it: error, event step.failed, event run.failed, dead-letter
  -- id, and the event run.failed of a step that is done all the same.
  local function over_budget(use, run, stream, budget, tokens, cost, counts, item_named)
    local most_tokens, most_cost, from_tokens, from_cost = match(budget, '^(%S+) (%S+) ?(%d*) ?(%d*)$')
    local used, most
    if most_tokens ~= '-' and tokens - (tonumber(from_tokens) or 0) > tonumber(most_tokens) then
      used, most = string.format('%.0f tokens', tokens - (tonumber(from_tokens) or 0)), most_tokens
    elseif most_cost ~= '-' and cost - (tonumber(from_cost) or 0) > tonumber(most_cost) then
      used = string.format('%.10g in cost', (cost - (tonumber(from_cost) or 0)) / 1e9)
      most = string.format('%.10g', tonumber(most_cost) / 1e9)
    else
      return nil
    end
    -- A replay has the whole budget again.
    set('budget', most_tokens .. ' ' .. most_cost .. ' ' .. sum_text(tokens, cost))
    local error = '{"name":"BudgetExceededError","message":"The run has used ' .. used .. '; its budget is ' .. most ..
      '.","code":"budget_exceeded"}'
    return { error,
      '{"type":"step.failed","step":"' .. stream.step .. '",' .. item_named .. '"data":{"error":' .. error .. '},' .. attempt_of[counts],
      '{"type":"run.failed","data":{"error":' .. error .. ',"step":"' .. stream.step .. '","deadLetter":"' .. use.letter .. '"}}',
      use.letter,
      '{"type":"run.failed","data":{"error":' .. error .. ',"step":"' .. stream.step .. '"}}' }
  end

  -- Whether an end completes a step that has an undo: of one with items, the end of the last. 'turn' is a loop's.
  function can_be_undone(kind, graph, stream, items, turn)
    if kind ~= 'completed' or not graph or not graph[stream.index].undo then return false end
    return not items or turn == 'last' or turn ~= 'turn' and items.done + items.failed + 1 == items.total
  end

  function spend(use, run, stream, batch, counts, item_named)
    if use.batch <= batch then return nil end
    local tokens, cost, budget = add_usage(run.key, stream.step, match(stream.delayed, '^[^@]+'), use)
    return budget and over_budget(use, run, stream, budget, tokens, cost, counts, item_named)
  end

  -- An item that has broken its run's budget fails, whatever else it is, unless it can be undone. One that was only to be told of is given up here.
  function give_up(i, kind, stream, entry)
    if kind == 'events' then
      call('XACK', stream.key, GROUP, entry)
      call('XDEL', stream.key, entry)
      replies[i] = RUN_ENDED
    end
    return 'failed'
  end
end
`;
