import { script } from "./script.ts";

/**
 * Brings a lane of a workflow version into use: its streams with their groups, and its name for the workers to find.
 *
 * KEYS  1 lanes  2… the stream of each step in that lane
 * ARGV  1 field: `workflow@version:lane`  2 control channel
 * Returns  Done; Already if it was in use; WrongType
 * Events  `lanes` on the control channel
 *
 * The first write is XACK, which is allowed over the memory limit, and so is all that follows: a run that was admitted there
 * before may have to be put back.
 */
export const openLane = script(
  "open-lane",
  `
local _, any = wrong_types('h' .. string.rep('s', #KEYS - 1))
if any then return WRONG_TYPE end
redis.pcall('XACK', KEYS[2], GROUP, '0-0')
for i = 2, #KEYS do
  local made = redis.pcall('XGROUP', 'CREATE', KEYS[i], GROUP, '0', 'MKSTREAM')
  if made.err and not string.find(made.err, 'BUSYGROUP', 1, true) then return made end
end
if redis.call('HSETNX', KEYS[1], ARGV[1], now_ms()) == 0 then return ALREADY end
redis.call('PUBLISH', ARGV[2], 'lanes')
return DONE
`,
);
