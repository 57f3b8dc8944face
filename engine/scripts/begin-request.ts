import { script } from "./script.ts";

/**
 * Takes a request for one process, unless it was answered, or another has it.
 *
 * KEYS  1 once key  2 timers
 * ARGV  1 digest of what was sent  2 token of the process  3 the lease in ms  4 id of what it may make  5 its seed, sealed
 *       6 how long it is kept, in ms  7 the timer row that then frees the key
 * Returns  {Done, 1 if it was never begun before or else 0, id, seed}, those of the first; {Already, id, reply, location} if it was
 *          answered; {NotOwner, for how many ms another has it}; {Stale} if something else was sent; {WrongType}
 *
 * A new one may be refused for lack of memory, and is then as if never asked for; of another the first write is HDEL, which is
 * allowed over the memory limit, and so is what follows.
 */
export const beginRequest = script(
  "begin-request",
  `
local _, any = wrong_types('hz')
if any then return { WRONG_TYPE } end
local got = redis.call('HMGET', KEYS[1], 'digest', 'id', 'seed', 'first', 'reply', 'location', 'holder', 'until')
if got[1] and got[1] ~= ARGV[1] then return { STALE } end
if got[5] then return { ALREADY, got[2], got[5], got[6] } end
local now = server_ms()
if got[7] and got[7] ~= ARGV[2] and tonumber(got[8]) > now then return { NOT_OWNER, got[8] - now } end
if got[1] then
  redis.call('HDEL', KEYS[1], 'holder')
  redis.call('HSET', KEYS[1], 'holder', ARGV[2], 'until', now + tonumber(ARGV[3]))
  return { DONE, got[4] == ARGV[2] and 1 or 0, got[2], got[3] }
end
redis.call('HSET', KEYS[1], 'digest', ARGV[1], 'id', ARGV[4], 'seed', ARGV[5], 'first', ARGV[2], 'holder', ARGV[2],
  'until', now + tonumber(ARGV[3]))
redis.call('ZADD', KEYS[2], now_ms() + tonumber(ARGV[6]), ARGV[7])
return { DONE, 1, ARGV[4], ARGV[5] }
`,
);
