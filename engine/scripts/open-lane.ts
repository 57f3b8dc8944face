import { script } from "./script.ts";

/**
 * Brings a lane of a workflow version into use: its streams with their groups, and its name for the workers to find.
 *
 * KEYS  1 lanes  2… the stream of each step in that lane
 * ARGV  1 field: `workflow@version:lane`  2 control channel
 * Returns  Done; Already if it was in use; WrongType
 * Events  `lanes` on the control channel
 *
 * It may be refused for lack of memory, as the admission that it is for would be.
 */
export const openLane = script(
  "open-lane",
  `
local _, any = wrong_types('h' .. string.rep('s', #KEYS - 1))
if any then return WRONG_TYPE end
for i = 2, #KEYS do
  local made = redis.pcall('XGROUP', 'CREATE', KEYS[i], GROUP, '0', 'MKSTREAM')
  if made.err and not string.find(made.err, 'BUSYGROUP', 1, true) then return made end
end
if redis.call('HSETNX', KEYS[1], ARGV[1], now_ms()) == 0 then return ALREADY end
redis.call('PUBLISH', ARGV[2], 'lanes')
return DONE
`,
);
