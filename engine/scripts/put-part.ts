import { script } from "./script.ts";

/**
 * Counts a part of an upload: behind those that there are, or in the place of the last of them, whose bytes it has.
 *
 * KEYS  1 upload  2 the tenant's open uploads
 * ARGV  1 token of the request that holds it  2 id  3 how long it is kept from now on, in ms  4 how many parts there are
 *       5 how many of them stay, 100 less at the most  6 the part's blob  7 its size in bytes
 * Returns  {Done, offset, expiresAt}; {Already, …} if it has been counted; {NotOwner} if it is not held by this token;
 *          {Stale} if its parts are others; {WrongType}
 */
export const putPart = script(
  "put-part",
  `
local _, any = wrong_types('hz')
if any then return { WRONG_TYPE } end
local got = redis.call('HMGET', KEYS[1], 'state', 'holder', 'parts', 'offset', 'length', 'expiresAt')
if got[1] ~= 'open' or got[2] ~= ARGV[1] then return { NOT_OWNER } end
local known, stay, part = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6] .. ' ' .. ARGV[7]
if tonumber(got[3]) == stay + 1 and redis.call('HGET', KEYS[1], 'part:' .. stay) == part then
  return { ALREADY, tonumber(got[4]), tonumber(got[6]) }
end
if tonumber(got[3]) ~= known then return { STALE } end
local offset = tonumber(got[4]) + tonumber(ARGV[7])
for i = stay, known - 1 do
  offset = offset - tonumber(string.match(redis.call('HGET', KEYS[1], 'part:' .. i), ' (%d+)$'))
end
if got[5] and got[5] ~= '' and offset > tonumber(got[5]) then return { STALE } end
-- HDEL is allowed over the memory limit, and so is what follows it.
redis.call('HDEL', KEYS[1], '')
for i = stay, known - 1 do redis.call('HDEL', KEYS[1], 'part:' .. i) end
local ends = now_ms() + tonumber(ARGV[3])
redis.call('HSET', KEYS[1], 'part:' .. stay, part, 'parts', stay + 1, 'offset', offset, 'expiresAt', ends)
redis.call('ZADD', KEYS[2], ends, ARGV[2])
return { DONE, offset, ends }
`,
);
