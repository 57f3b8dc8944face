import { script } from "./script.ts";

/**
 * Removes a worker that is gone, from each stream where nothing is pending for it: deleting a consumer that has pending
 * entries would lose them.
 *
 * KEYS  1 workers  2… streams
 * ARGV  1 consumer
 * Returns  Done; NotOwner if entries are pending for it still: it stays listed then
 */
export const retire = script(
  "retire",
  `
local wrong, any = wrong_types('h' .. string.rep('s', #KEYS - 1))
if any then return WRONG_TYPE end
local clean = true
for i = 2, #KEYS do
  local pending = redis.pcall('XPENDING', KEYS[i], GROUP, '-', '+', 1, ARGV[1])
  if not pending.err then
    if pending[1] then
      clean = false
    else
      redis.call('XGROUP', 'DELCONSUMER', KEYS[i], GROUP, ARGV[1])
    end
  end
end
if not clean then return NOT_OWNER end
redis.call('HDEL', KEYS[1], ARGV[1])
return DONE
`,
);
