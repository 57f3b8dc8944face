import { later } from "./parts/later.ts";
import { script } from "./script.ts";

/**
 * Reads which runs of a tenant have ended later than a time. Writes nothing.
 *
 * KEYS  1 the tenant's ends
 * ARGV  1 the time, in ms  2 how many of these to pass over  3 how many to read at most
 * Returns  {Done, how many there are, lines…}; a run may have ended several times, and be gone by now
 *          {Stale} if some of them may be noted no longer
 *          {WrongType}
 */
export const readEnds = script(
  "read-ends",
  `${later}
local wrong, any = wrong_types('l')
if any then return { WRONG_TYPE } end
local since, length = tonumber(ARGV[1]), redis.call('LLEN', KEYS[1])
local before = lines_before(KEYS[1], since)
if since < now_ms() - ENDS_MS or before == 0 and length >= ENDS_KEPT then return { STALE } end
local from, count = before + tonumber(ARGV[2]), tonumber(ARGV[3])
local lines = count > 0 and redis.call('LRANGE', KEYS[1], from, from + count - 1) or {}
return { DONE, length - before, unpack(lines) }
`,
);
