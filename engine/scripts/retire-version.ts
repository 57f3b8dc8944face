import { script } from "./script.ts";

/**
 * Deletes the streams of a version's steps, and their groups with them, and their gates, where nothing is in them.
 *
 * KEYS  1 delayed  2 lanes  3 timers  4… of each step its streams and its dead letters; then of each step with limits its gate
 * ARGV  1 how many fields in lanes, those, then how many gates, the timer row of each, and the field of each step in delayed
 * Returns  Done; Stale if there is something in one of them; WrongType
 *
 * The first write is HDEL, which is allowed over the memory limit, and so is what follows it.
 */
export const retireVersion = script(
  "retire-version",
  `
local last_lane = 1 + tonumber(ARGV[1])
local gates = tonumber(ARGV[last_lane + 1])
local last_row, last_stream = last_lane + 1 + gates, #KEYS - 7 * gates
local _, any = wrong_types('hhz' .. string.rep('s', last_stream - 3) .. string.rep('hzzzsss', gates))
if any then return WRONG_TYPE end
for i = 4, last_stream do
  if redis.call('XLEN', KEYS[i]) > 0 then return STALE end
end
for i = last_stream + 1, #KEYS, 7 do
  if redis.call('ZCARD', KEYS[i + 1]) > 0 or redis.call('ZCARD', KEYS[i + 2]) > 0 then return STALE end
  for lane = 4, 6 do
    if redis.call('XLEN', KEYS[i + lane]) > 0 then return STALE end
  end
end
for i = last_row + 1, #ARGV do
  if tonumber(redis.call('HGET', KEYS[1], ARGV[i]) or 0) > 0 then return STALE end
end
redis.call('HDEL', KEYS[1], unpack(ARGV, last_row + 1))
redis.call('HDEL', KEYS[2], unpack(ARGV, 2, last_lane))
if gates > 0 then redis.call('ZREM', KEYS[3], unpack(ARGV, last_lane + 2, last_row)) end
redis.call('UNLINK', unpack(KEYS, 4))
return DONE
`,
);
