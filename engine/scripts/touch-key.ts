import { script } from "./script.ts";

/**
 * Notes that an API key was used, unless that was noted a short while ago.
 *
 * KEYS  1 the key
 * ARGV  1 how long ago it has to have been, ms
 * Returns  Done; Already; NotThere; WrongType
 */
export const touchKey = script(
  "touch-key",
  `
local _, any = wrong_types('h')
if any then return WRONG_TYPE end
local got = redis.call('HMGET', KEYS[1], 'tenant', 'lastUsedAt')
if not got[1] then return NOT_THERE end
local now = now_ms()
if got[2] and got[2] + tonumber(ARGV[1]) > now then return ALREADY end
redis.call('HSET', KEYS[1], 'lastUsedAt', now)
return DONE
`,
);
