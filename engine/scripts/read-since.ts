import { later } from "./parts/later.ts";
import { script } from "./script.ts";

/**
 * Reads a run's log from the first event of later than a time. Writes nothing.
 *
 * KEYS  1 run  2 log
 * ARGV  1 the time, in ms  2 how many events at most
 * Returns  {Done, the number of the last event, the run's tenant, the number of the first line, lines…}
 *          {Stale, the number of the last event, the run's tenant} if the log may have lost events of later than that
 *          {UnknownRun}, {WrongType}
 */
export const readSince = script(
  "read-since",
  `${later}
local wrong, any = wrong_types('hl')
if any then return { WRONG_TYPE } end
local got = redis.call('HMGET', KEYS[1], 'status', 'trimmed', 'tenant')
if not got[1] then return { UNKNOWN_RUN } end
local since, trimmed, length = tonumber(ARGV[1]), tonumber(got[2] or 0), redis.call('LLEN', KEYS[2])
local last = trimmed + length
local low = lines_before(KEYS[2], since)
if low == 0 and trimmed > 0 then return { STALE, last, got[3] } end
local count = tonumber(ARGV[2])
local lines = low < length and redis.call('LRANGE', KEYS[2], low, low + count - 1) or {}
return { DONE, last, got[3], trimmed + low + 1, unpack(lines) }
`,
);
