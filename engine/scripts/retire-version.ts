import { script } from "./script.ts";

/**
 * Deletes the streams of a version's steps, and their groups with them, where they are empty.
 *
 * KEYS  1 delayed  2… of each step its stream and its dead letters
 * ARGV  the field of each step in delayed
 * Returns  Done; Stale if there is something in one of them; WrongType
 *
 * The first write is HDEL, which is allowed over the memory limit, and so is what follows it.
 */
export const retireVersion = script(
  "retire-version",
  `
local _, any = wrong_types('h' .. string.rep('s', #KEYS - 1))
if any then return WRONG_TYPE end
for i = 2, #KEYS do
  if redis.call('XLEN', KEYS[i]) > 0 then return STALE end
end
for i = 1, #ARGV do
  if tonumber(redis.call('HGET', KEYS[1], ARGV[i]) or 0) > 0 then return STALE end
end
redis.call('HDEL', KEYS[1], unpack(ARGV))
redis.call('UNLINK', unpack(KEYS, 2))
return DONE
`,
);
