import { script } from "./script.ts";

/**
 * Stores or drops a record of a collection, if it is still as the caller read it.
 *
 * An id is of one tenant in the whole collection. To drop one is allowed over the memory limit.
 *
 * KEYS  1 the tenant's records of the collection  2 the tenant of each of its ids
 * ARGV  1 id  2 tenant  3 `set` or `delete`  4 the revision that was read, 0 for none; '' where any will do
 *       5 the value, for `set`  6 how many records a tenant may have
 * Returns  Done; Already where there is nothing to drop; Stale if it is another by now, gone, or taken; Full; WrongType
 */
export const keep = script(
  "keep",
  `
local _, any = wrong_types('hh')
if any then return WRONG_TYPE end
local id, tenant, act, read, value = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local revision = string.match(redis.call('HGET', KEYS[1], id) or '', '^(%d+) ') or '0'
if act == 'delete' then
  if revision == '0' then return ALREADY end
  if read ~= '' and read ~= revision then return STALE end
  redis.call('HDEL', KEYS[1], id)
  redis.call('HDEL', KEYS[2], id)
  return DONE
end
if read ~= revision then return STALE end
if revision == '0' then
  if redis.call('HEXISTS', KEYS[2], id) == 1 then return STALE end
  if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[6]) then return FULL end
end
redis.call('HSET', KEYS[1], id, (revision + 1) .. ' ' .. value)
redis.call('HSET', KEYS[2], id, tenant)
return DONE
`,
);
