import { script } from "./script.ts";

/**
 * Takes a ticket: whoever comes first has it, and nobody after.
 *
 * KEYS  1 the ticket  2 timers
 * ARGV  1 its timer row
 * Returns  {Done, {field, value, …}}; {NotThere} if there is none, or it is too old; {WrongType}
 *
 * Sent again, since the reply was lost, it finds none: then its page needs another one. Its first write is DEL, which is allowed
 * over the memory limit.
 */
export const redeemTicket = script(
  "redeem-ticket",
  `
local _, any = wrong_types('hz')
if any then return { WRONG_TYPE } end
local fields = redis.call('HGETALL', KEYS[1])
if #fields == 0 then return { NOT_THERE } end
local expires = tonumber(redis.call('HGET', KEYS[1], 'expiresAt') or 0)
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
if expires <= now_ms() then return { NOT_THERE } end
return { DONE, fields }
`,
);
