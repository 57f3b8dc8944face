/**
 * What the scripts share that sum what was used. They have `call`, `match`, `now` and `set`, for fields of the run, and
 * `timers`, the key of the timers: what a key has used goes when none was used for as long as is shown.
 */
export const sumUsage = `
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

-- Sets the row that drops what a key has used; no part of a row may hold its separator.
local function keep_for_days(key)
  local of = string.gsub(match(key, '}:usage:(.*)$'), '[%%|]', { ['%'] = '%25', ['|'] = '%7C' })
  call('ZADD', timers, now + USAGE_DAYS * DAY_MS, 'usage|' .. of)
end

-- Adds it up for the run, the step, the tenant and keys. 'use' is {tokens, cost, daily: key of the tenant's usage, keyed: {{key of a
-- key's usage, tokens, cost} ...}}. Returns what the run has used by now, and its budget.
local function add_usage(run_key, step, workflow, use)
  local field = 'usage:' .. step
  local got = call('HMGET', run_key, 'usage', field, 'budget')
  local run_tokens, run_cost = match(got[1] or '0 0', '^(%d+) (%d+)$')
  local step_tokens, step_cost = match(got[2] or '0 0', '^(%d+) (%d+)$')
  local tokens, cost = run_tokens + use.tokens, run_cost + use.cost
  set('usage', sum_text(tokens, cost))
  set(field, sum_text(step_tokens + use.tokens, step_cost + use.cost))
  add_daily(use.daily, workflow, use.tokens, use.cost)
  for k = 1, #use.keyed do
    add_daily(use.keyed[k][1], workflow, use.keyed[k][2], use.keyed[k][3])
    keep_for_days(use.keyed[k][1])
  end
  return tokens, cost, got[3]
end
`;
