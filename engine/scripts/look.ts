import { script } from "./script.ts";

/**
 * Looks what there is to do in up to 100 streams, so that those that have nothing need not be asked one by one.
 *
 * KEYS  1… streams
 * ARGV  1 consumer
 * Returns  of each stream that has something its number, from 1 on, and the sum of what it has: 1 entries that are pending,
 *          2 some of them for this consumer, 4 entries that were not delivered yet. All of it where that cannot be told, as
 *          without a group: whoever asks such a stream finds out what is wrong.
 */
export const look = script(
  "look",
  `
-- Whether an entry came after the last that was delivered. Entries are deleted one by one, so counts do not tell.
local function has_more(key)
  if redis.call('XLEN', key) == 0 then return false end
  for _, group in ipairs(redis.call('XINFO', 'GROUPS', key)) do
    local of = {}
    for i = 1, #group, 2 do of[group[i]] = group[i + 1] end
    if of.name == GROUP then return redis.call('XRANGE', key, '(' .. of['last-delivered-id'], '+', 'COUNT', 1)[1] ~= nil end
  end
  return true
end

local found = {}
for i = 1, #KEYS do
  local has = 0
  local pending = redis.pcall('XPENDING', KEYS[i], GROUP)
  if pending.err then
    has = 7
  else
    if pending[1] > 0 then
      has = 1
      for _, owner in ipairs(pending[4]) do
        if owner[1] == ARGV[1] then has = 3 end
      end
    end
    if has_more(KEYS[i]) then has = has + 4 end
  end
  if has > 0 then
    found[#found + 1] = i
    found[#found + 1] = has
  end
end
return found
`,
);
