import { script } from "./script.ts";

/**
 * Takes over entries of one stream whose lease has run out, once everyone could beat for a lease; or takes up those of
 * this consumer that it does not know of, because a reply was lost on its way.
 *
 * KEYS  1 stream  2 beats
 * ARGV  1 consumer  2 `expired` or `own`  3 the lease in ms (expired), or how long ago they were delivered at least (own)
 *       4 how many at most, up to 100
 *       5 how many workers the step may take down  6 how many entries at most that may take down only one more (expired)
 *       7… the entries that this consumer holds
 * Returns  how many were left that may take down only one more worker, then {entry, delivery count, fields} of each that was
 *          taken. The count of an expired one is raised by this delivery; that of an own one stays, since nobody has run it.
 *
 * Idle time goes on while Redis cannot be reached, so nothing is expired unless beats came without a long gap for a lease,
 * up to now. That is decided here and not by the caller, whose call may have waited for Redis itself.
 *
 * An entry that takes its worker down takes the blame with all that ran beside it. What is on its last chance is therefore
 * taken over singly, so that only the culprit comes to its end.
 */
export const reclaim = script(
  "reclaim",
  `
local _, any = wrong_types('sh')
if any then return { 0 } end
local consumer, mode, lease, limit = ARGV[1], ARGV[2], math.ceil(ARGV[3]), tonumber(ARGV[4])
-- Looked for ten times a lease: an entry found a tenth early has missed its heartbeats all the same.
local idle = math.ceil(lease * 0.9)
if mode == 'expired' then
  local beats, now = redis.call('HMGET', KEYS[2], 'last', 'since'), server_ms()
  if not beats[2] or now - beats[1] > lease / 2 or now - beats[2] < lease then return { 0 } end
end
local crashes, chances = tonumber(ARGV[5]), tonumber(ARGV[6])
local held, holding = {}, #ARGV - 6
for i = 7, #ARGV do held[ARGV[i]] = true end

-- Whether an entry with that count, delivered once more, may take down only one more worker.
local function last_chance(entry, count)
  if crashes < 2 then return false end
  local found = redis.call('XRANGE', KEYS[1], entry, entry)[1]
  if not found then return false end
  for k = 1, #found[2], 2 do
    if found[2][k] == 'crashes' then count = count + (tonumber(found[2][k + 1]) or 0) end
  end
  return count == crashes - 1
end

local pending
if mode == 'own' then
  pending = redis.pcall('XPENDING', KEYS[1], GROUP, 'IDLE', lease, '-', '+', limit + holding, consumer)
else
  -- What is left for its turn may stand before others.
  pending = redis.pcall('XPENDING', KEYS[1], GROUP, 'IDLE', idle, '-', '+', limit + holding + 100)
end
if pending.err then return { 0 } end

local taken = { 0 }
for i = 1, #pending do
  if #taken > limit then break end
  local entry, owner, count = pending[i][1], pending[i][2], pending[i][4]
  local ours = owner == consumer and held[entry]
  local singly = not ours and mode == 'expired' and last_chance(entry, count)
  if singly and chances < 1 then
    taken[1] = taken[1] + 1
  elseif not ours then
    local claimed
    if singly then chances = chances - 1 end
    if mode == 'own' then
      claimed = redis.call('XCLAIM', KEYS[1], GROUP, consumer, 0, entry, 'RETRYCOUNT', count)
    else
      count = count + 1
      claimed = redis.call('XCLAIM', KEYS[1], GROUP, consumer, idle, entry)
    end
    if claimed[1] then
      taken[#taken + 1] = { entry, count, claimed[1][2] }
    else
      -- Deleted while pending, which no script of ours does: Redis 6.2 keeps it pending for ever, later ones drop it.
      redis.call('XACK', KEYS[1], GROUP, entry)
    end
  end
end
return taken
`,
);
