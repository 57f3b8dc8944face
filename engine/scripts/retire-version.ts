import { script } from "./script.ts";

/**
 * Deletes the streams of a version's steps, and their groups with them, where they are empty.
 *
 * KEYS  1 delayed  2 lanes  3… of each step its streams and its dead letters
 * ARGV  1 how many fields in lanes, those, then the field of each step in delayed
 * Returns  Done; Stale if there is something in one of them; WrongType
 *
 * The first write is HDEL, which is allowed over the memory limit, and so is what follows it.
 */
export const retireVersion = script(
  "retire-version",
  `
local _, any = wrong_types('hh' .. string.rep('s', #KEYS - 2))
if any then return WRONG_TYPE end
local last_lane = 1 + tonumber(ARGV[1])
for i = 3, #KEYS do
  if redis.call('XLEN', KEYS[i]) > 0 then return STALE end
end
for i = last_lane + 1, #ARGV do
  if tonumber(redis.call('HGET', KEYS[1], ARGV[i]) or 0) > 0 then return STALE end
end
redis.call('HDEL', KEYS[1], unpack(ARGV, last_lane + 1))
redis.call('HDEL', KEYS[2], unpack(ARGV, 2, last_lane))
redis.call('UNLINK', unpack(KEYS, 3))
return DONE
`,
);
