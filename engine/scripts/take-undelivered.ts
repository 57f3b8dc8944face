import { script } from "./script.ts";

/**
 * Takes dead letters of a subscription: back into its stream, counted anew, or away.
 *
 * KEYS  1 dead letters  2 stream
 * ARGV  1 `replay` or `discard`  2… up to 100 entries
 * Returns  how many there were; WrongType
 *
 * The first write is XDEL, which is allowed over the memory limit, and so is what follows it.
 */
export const takeUndelivered = script(
  "take-undelivered",
  `
local wrong, any = wrong_types('ss')
if any then return WRONG_TYPE end
local taken = 0
for i = 2, #ARGV do
  local found = redis.call('XRANGE', KEYS[1], ARGV[i], ARGV[i])[1]
  if found then
    taken = taken + 1
    redis.call('XDEL', KEYS[1], ARGV[i])
    if ARGV[1] == 'replay' then
      local fields = {}
      for k = 1, #found[2], 2 do
        if found[2][k] ~= 'attempts' and found[2][k] ~= 'error' then
          fields[#fields + 1] = found[2][k]
          fields[#fields + 1] = found[2][k + 1]
        end
      end
      redis.call('XADD', KEYS[2], '*', unpack(fields))
    end
  end
end
return taken
`,
);
