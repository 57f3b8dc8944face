import { script } from "./script.ts";

/**
 * Stores a ticket until it is redeemed or too old.
 *
 * It has no time to live but a timer row, as all else here: under `volatile-*` what has one is evicted first. A ticket that is lost
 * costs its page another one.
 *
 * KEYS  1 the ticket  2 timers
 * ARGV  1 for how long, ms  2 the timer row that removes it  3… fields and values
 * Returns  {Done, when it expires in ms}; {Already, that} of a repeated call; {WrongType}
 */
export const issueTicket = script(
  "issue-ticket",
  `
local _, any = wrong_types('hz')
if any then return { WRONG_TYPE } end
local expires = redis.call('HGET', KEYS[1], 'expiresAt')
if expires then return { ALREADY, tonumber(expires) } end
expires = now_ms() + tonumber(ARGV[1])
redis.call('HSET', KEYS[1], 'expiresAt', expires, unpack(ARGV, 3))
redis.call('ZADD', KEYS[2], expires, ARGV[2])
return { DONE, expires }
`,
);
