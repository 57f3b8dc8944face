import { script } from "./script.ts";

/**
 * Takes of what a key may have in a UTC day, or gives back. The counts of a day are one hash, whose field '' is the day; the
 * first call of another day begins it anew.
 *
 * KEYS  1 quotas
 * ARGV  1 the key  2 how many it may have in the day  3 how many are taken; below 0: given back  4 the day that they are given back
 *       to, in days since 1970; ''
 * Returns  {Done or Full, how many it has taken by now, the day, how many ms are left of it}; {WrongType}
 *
 * Sent again, since the reply was lost, it takes twice. Its first write is UNLINK or HDEL, which are allowed over the memory limit,
 * and so is all that follows.
 */
export const takeQuota = script(
  "take-quota",
  `
local _, any = wrong_types('h')
if any then return { WRONG_TYPE } end
local now, most, count = now_ms(), tonumber(ARGV[2]), tonumber(ARGV[3])
local day = math.floor(now / 86400000)
if redis.call('HGET', KEYS[1], '') ~= day .. '' then
  redis.call('UNLINK', KEYS[1])
  redis.call('HSET', KEYS[1], '', day)
end
local taken, reply = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or 0), DONE
if count < 0 and ARGV[4] ~= day .. '' then count = 0 end
if count > 0 and taken + count > most then
  reply = FULL
elseif count ~= 0 then
  taken = math.max(0, taken + count)
  redis.call('HDEL', KEYS[1], ARGV[1])
  if taken > 0 then redis.call('HSET', KEYS[1], ARGV[1], taken) end
end
return { reply, taken, day, (day + 1) * 86400000 - now }
`,
);
