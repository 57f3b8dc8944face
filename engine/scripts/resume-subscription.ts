import { changeSubscriptions } from "./parts/subscriptions.ts";
import { script } from "./script.ts";

/**
 * Lets a subscription that was paused take events again, and remembers since when it took none.
 *
 * KEYS  1 subscriptions  2 its stream  3 its dead letters
 * ARGV  1 group  2 how many bytes each may take
 * Returns  {Done, since when it was paused in ms, now in ms}; {Already} if it is not paused; {UnknownRun} if there is no such
 *          subscription; {Full, `events` or `dead letters`} if it would be paused again at once; {WrongType}
 */
export const resumeSubscription = script(
  "resume-subscription",
  `
${changeSubscriptions}
local wrong, any = wrong_types('hss')
if any then return { WRONG_TYPE } end
local group = ARGV[1]
local got = redis.call('HMGET', KEYS[1], 'of:' .. group, 'paused:' .. group)
if not got[1] then return { UNKNOWN_RUN } end
if not got[2] then return { ALREADY } end
for i, what in ipairs({ 'events', 'dead letters' }) do
  if (redis.call('MEMORY', 'USAGE', KEYS[i + 1]) or 0) > tonumber(ARGV[2]) then return { FULL, what } end
end
local since, now = string.match(got[2], ' (%d+)$'), now_ms()
redis.call('HDEL', KEYS[1], 'paused:' .. group)
redis.call('HSET', KEYS[1], 'gap:' .. group, since .. ' ' .. now, 'version', next_version(KEYS[1]))
return { DONE, tonumber(since), now }
`,
);
