import { changeSubscriptions } from "./parts/subscriptions.ts";
import { script } from "./script.ts";

/**
 * Stores a subscription, or gives it other settings. Every event that is appended from here on is looked at for it.
 *
 * KEYS  1 subscriptions  2 its stream
 * ARGV  1 group  2 settings (JSON)  3 how many subscriptions there may be
 * Returns  Done; Already if it has these settings; Full; WrongType
 *
 * It may be refused for lack of memory, and is then as if never called.
 */
export const subscribe = script(
  "subscribe",
  `
${changeSubscriptions}
local wrong, any = wrong_types('hs')
if any then return WRONG_TYPE end
local field = 'of:' .. ARGV[1]
local was = redis.call('HGET', KEYS[1], field)
if was == ARGV[2] then return ALREADY end
if not was then
  local count = 0
  for _, each in ipairs(redis.call('HKEYS', KEYS[1])) do
    if string.sub(each, 1, 3) == 'of:' then count = count + 1 end
  end
  if count >= tonumber(ARGV[3]) then return FULL end
end
-- Its first write is one that is refused for lack of memory. A group that is there is fine.
redis.call('HSETNX', KEYS[1], 'since:' .. ARGV[1], now_ms())
redis.pcall('XGROUP', 'CREATE', KEYS[2], GROUP, '0', 'MKSTREAM')
redis.call('HSET', KEYS[1], field, ARGV[2], 'version', next_version(KEYS[1]))
return DONE
`,
);
