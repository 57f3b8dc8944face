import { script } from "./script.ts";

/**
 * Counts anew how many timer rows wait for each step, if there are not too many to be counted at once.
 *
 * KEYS  1 delayed  2 timers  3… what tenants have parked
 * Returns  how many rows there are; -1 if those are too many: nothing was written; WrongType
 *
 * The first write is DEL, which is allowed over the memory limit, and so is all that follows.
 */
export const recount = script(
  "recount",
  `
local _, any = wrong_types('h' .. string.rep('z', #KEYS - 1))
if any then return WRONG_TYPE end
local MOST, total = 1000, 0
for i = 2, #KEYS do total = total + redis.call('ZCARD', KEYS[i]) end
if total > MOST then return -1 end
local counts, fields = {}, {}
for i = 2, #KEYS do
  for _, row in ipairs(redis.call('ZRANGE', KEYS[i], 0, -1)) do
    local reason, workflow, version, step = string.match(row, '^wake|([^|]*)|[^|]*|[^|]*|([^|]*)|([^|]*)|([^|]*)|')
    -- What waits for a child is set when that has ended, and not counted.
    if step and reason ~= 'child' and reason ~= 'detached' then
      local field = workflow .. '@' .. version .. ':' .. step
      counts[field] = (counts[field] or 0) + 1
    end
  end
end
redis.call('DEL', KEYS[1])
for field, count in pairs(counts) do redis.call('HSET', KEYS[1], field, count) end
return total
`,
);
