import { script } from "./script.ts";

/**
 * Keeps the leases of up to 1,000 of a worker's entries, and the worker's place among the living.
 *
 * KEYS  1 workers  2 beats  3… streams
 * ARGV  1 consumer  2 the lease in ms  3 what is kept of the worker (JSON)
 *       per stream: how many entries, then (entry, delivery count) of each, in the order of their ids
 * Returns  a Reply per entry: Done, or NotOwner where the lease is lost
 *
 * Only the owner's own claim resets the idle time: a heartbeat that claimed unasked would steal entries back. Each worker
 * beats three times a lease. If no beat at all came for half a lease, nobody could reach Redis: `since` begins anew, and
 * with it the time in which nothing is taken over.
 */
export const heartbeat = script(
  "heartbeat",
  `
local wrong = wrong_types('hh' .. string.rep('s', #KEYS - 2))
local consumer, at, replies = ARGV[1], 3, {}
local function take()
  at = at + 1
  return ARGV[at]
end
for key = 3, #KEYS do
  local entries, counts, keep = {}, {}, {}
  for i = 1, tonumber(take()) do
    entries[i] = take()
    counts[i] = tonumber(take())
  end
  local owned = {}
  if #entries > 0 and not wrong[key] then
    local pending = redis.pcall('XPENDING', KEYS[key], GROUP, entries[1], entries[#entries], #entries, consumer)
    for i = 1, #pending do owned[pending[i][1]] = pending[i][4] end
    -- Entries between these that are not asked about can fill the page: look for the rest one by one.
    local full = #pending == #entries
    for i = 1, #entries do
      local entry = entries[i]
      if full and not owned[entry] then
        local one = redis.call('XPENDING', KEYS[key], GROUP, entry, entry, 1, consumer)[1]
        owned[entry] = one and one[4]
      end
      if owned[entry] == counts[i] then keep[#keep + 1] = entry end
    end
    if #keep > 0 then
      -- Whatever follows unpack() would leave but one of them.
      keep[#keep + 1] = 'JUSTID'
      redis.call('XCLAIM', KEYS[key], GROUP, consumer, 0, unpack(keep))
    end
  end
  for i = 1, #entries do
    replies[#replies + 1] = owned[entries[i]] == counts[i] and DONE or NOT_OWNER
  end
end

-- HDEL is allowed over the memory limit, and so is what follows it.
local now = server_ms()
if not wrong[1] then
  redis.call('HDEL', KEYS[1], '')
  redis.call('HSET', KEYS[1], consumer, now .. ' ' .. ARGV[3])
end
if not wrong[2] then
  redis.call('HDEL', KEYS[2], '')
  local last = redis.call('HGET', KEYS[2], 'last')
  if not last or now - last > tonumber(ARGV[2]) / 2 then redis.call('HSET', KEYS[2], 'since', now) end
  redis.call('HSET', KEYS[2], 'last', now)
end
return replies
`,
);
