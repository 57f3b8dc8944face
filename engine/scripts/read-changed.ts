import { script } from "./script.ts";

/**
 * Says which of up to 100 runs have an event of later than a time. Writes nothing.
 *
 * KEYS  1 run  2 log, and so on for each
 * ARGV  1 the time, in ms
 * Returns  of each that has: its place in KEYS from 1, its tenant, its workflow, its tags as JSON ('' for none)
 */
export const readChanged = script(
  "read-changed",
  `
local found = {}
for i = 1, #KEYS, 2 do
  local last = redis.pcall('LINDEX', KEYS[i + 1], -1)
  if type(last) == 'string' and tonumber(string.match(last, '^%d+')) > tonumber(ARGV[1]) then
    local got = redis.pcall('HMGET', KEYS[i], 'tenant', 'workflow', 'tags')
    if not got.err and got[2] then
      found[#found + 1] = (i + 1) / 2
      for k = 1, 3 do found[#found + 1] = got[k] or '' end
    end
  end
end
return found
`,
);
