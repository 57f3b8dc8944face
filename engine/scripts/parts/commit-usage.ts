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

  local USAGE_DAYS, DAY_MS = 92, 86400000
  local function sum_text(tokens, cost)
    return string.format('%.0f %.0f', tokens, cost)
  end

  -- A field for each workflow and day; the day that comes round to one begins it anew.
  local function add_daily(key, workflow, tokens, cost)
    local day = math.floor(now / DAY_MS)
    local field = workflow .. '|' .. day % USAGE_DAYS
    local of, was_tokens, was_cost = match(call('HGET', key, field) or '', '^(%d+) (%d+) (%d+)$')
    if of == day .. '' then tokens, cost = tokens + was_tokens, cost + was_cost end
    call('HSET', key, field, day .. ' ' .. sum_text(tokens, cost))
  end

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
    local field, workflow = 'usage:' .. stream.step, match(stream.delayed, '^[^@]+')
    local got = call('HMGET', run.key, 'usage', field, 'budget')
    local run_tokens, run_cost = match(got[1] or '0 0', '^(%d+) (%d+)$')
    local step_tokens, step_cost = match(got[2] or '0 0', '^(%d+) (%d+)$')
    local tokens, cost = run_tokens + use.tokens, run_cost + use.cost
    set('usage', sum_text(tokens, cost))
    set(field, sum_text(step_tokens + use.tokens, step_cost + use.cost))
    add_daily(use.daily, workflow, use.tokens, use.cost)
    for k = 1, #use.keyed do
      add_daily(use.keyed[k][1], workflow, use.keyed[k][2], use.keyed[k][3])
      call('PEXPIRE', use.keyed[k][1], USAGE_DAYS * DAY_MS)
    end
    return got[3] and over_budget(use, run, stream, got[3], tokens, cost, counts, item_named)
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
