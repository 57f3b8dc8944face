import { script, TAKE_STEPS } from "./script.ts";

/**
 * Ends a run by wish: every live step is taken from its place.
 *
 * KEYS  1 run  2 log  3 timers  4 delayed  5 6 7 runs by status `queued` `running` `waiting`  8 by status `cancelled`
 *       9… the stream of each step of its graph
 * ARGV  1 run id  2 control channel  3 event run.cancelled  4 `workflow@version`  5… the names of the steps
 * Returns  Done; Already if it was cancelled before; RunEnded if it ended otherwise; UnknownRun; WrongType
 * Events  run.cancelled; and `cancelled RUN` on the control channel, for the workers
 */
export const cancel = script(
  "cancel",
  `${TAKE_STEPS}
local wrong, any = wrong_types('hlzhzzzz' .. string.rep('s', #KEYS))
if any then return WRONG_TYPE end
local id, now = ARGV[1], now_ms()
local got = redis.call('HMGET', KEYS[1], 'status', 'createdAt', 'trimmed')
local status = got[1]
if not status then return UNKNOWN_RUN end
if status == 'cancelled' then return ALREADY end
if not LIVE[status] then return RUN_ENDED end

-- ZREM comes first, since it is allowed over the memory limit and so is what follows it.
for i = 5, 7 do redis.call('ZREM', KEYS[i], id) end
local fields = { 'status', 'cancelled', 'endedAt', now }
take_steps(ARGV[4], 5, now, fields)
redis.call('ZADD', KEYS[8], got[2], id)
redis.call('HSET', KEYS[1], unpack(fields))
append(KEYS[1], KEYS[2], got[3], { now .. ' ' .. ARGV[3] }, 1)
redis.call('PUBLISH', ARGV[2], 'cancelled ' .. id)
return DONE
`,
);
