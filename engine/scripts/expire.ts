import { script, TAKE_STEPS } from "./script.ts";

/**
 * Fails a run that has not kept its limit: every live step is taken from its place.
 *
 * KEYS  1 run  2 log  3 timers  4 delayed  5 6 7 runs by status `queued` `running` `waiting`  8 by status `failed`
 *       9… the stream of each step of its graph
 * ARGV  1 run id  2 control channel  3 event run.failed  4 `workflow@version`  5 limit: `ttl` or `deadline`
 *       6 error as JSON  7… the names of the steps
 * Returns  Done; Stale if it has started, for the ttl; RunEnded; UnknownRun; WrongType
 * Events  run.failed; and `expired RUN` on the control channel, for the workers
 */
export const expire = script(
  "expire",
  `${TAKE_STEPS}
local wrong, any = wrong_types('hlzhzzzz' .. string.rep('s', #KEYS))
if any then return WRONG_TYPE end
local id, now = ARGV[1], now_ms()
local got = redis.call('HMGET', KEYS[1], 'status', 'createdAt', 'trimmed')
local status = got[1]
if not status then return UNKNOWN_RUN end
if not LIVE[status] then return RUN_ENDED end

-- A run that was replayed is queued, and had started: its log tells, where the first events still stand in it.
local function has_started()
  if status ~= 'queued' or got[3] ~= '0' then return true end
  for _, line in ipairs(redis.call('LRANGE', KEYS[2], 0, 9)) do
    if string.find(line, '^%d+ {"type":"run.started"') then return true end
  end
  return false
end
if ARGV[5] == 'ttl' and has_started() then return STALE end

-- ZREM comes first, since it is allowed over the memory limit and so is what follows it.
for i = 5, 7 do redis.call('ZREM', KEYS[i], id) end
local fields = { 'status', 'failed', 'endedAt', now, 'error', ARGV[6] }
take_steps(ARGV[4], 7, now, fields)
redis.call('ZADD', KEYS[8], got[2], id)
redis.call('HSET', KEYS[1], unpack(fields))
append(KEYS[1], KEYS[2], got[3], { now .. ' ' .. ARGV[3] }, 1)
redis.call('PUBLISH', ARGV[2], 'expired ' .. id)
return DONE
`,
);
