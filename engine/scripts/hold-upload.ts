import { script } from "./script.ts";

/**
 * Takes an upload for one request, or keeps it. Whose request is refused is asked for: the holder is told so when it keeps it
 * the next time, and gives it up.
 *
 * KEYS  1 upload
 * ARGV  1 token of the request  2 the lease in ms  3 the offset that it goes on from, '' for any
 *       4 the length that it says, '' for none  5 `take`, `keep`, or `look`, which takes nothing
 * Returns  {Reply, whether another asks for it, and state, offset, length, parts, metadata, expiresAt, document, run}, '' for
 *          what it does not have. Reply: Done; Already if it is complete; NotOwner if it is another's; Stale if its offset or
 *          its length is another; RunEnded if it was deleted or has expired. {UnknownRun}; {WrongType}
 */
export const holdUpload = script(
  "hold-upload",
  `
local _, any = wrong_types('h')
if any then return { WRONG_TYPE } end
local token, offset, length, mode = ARGV[1], ARGV[3], ARGV[4], ARGV[5]
local of = redis.call('HMGET', KEYS[1], 'state', 'offset', 'length', 'parts', 'metadata', 'expiresAt', 'document', 'run')
local got = redis.call('HMGET', KEYS[1], 'holder', 'until', 'wanted')
if not of[1] then return { UNKNOWN_RUN } end

local function reply(code, wanted)
  local told = { code, wanted and 1 or 0 }
  for i = 1, 8 do told[i + 2] = of[i] or '' end
  return told
end

if of[1] == 'gone' or tonumber(of[6]) <= now_ms() and got[1] ~= token then return reply(RUN_ENDED) end
if offset ~= '' and tonumber(offset) < tonumber(of[2]) then return reply(STALE) end
if length ~= '' and of[3] and of[3] ~= '' and length ~= of[3] then return reply(STALE) end
if of[1] == 'complete' then return reply(ALREADY) end
if mode == 'look' then return reply(DONE) end
local is_free = not got[1] or tonumber(got[2]) <= server_ms()
if got[1] ~= token and (mode == 'keep' or not is_free) then
  if mode == 'take' and (offset == '' or offset == of[2]) then
    -- HDEL is allowed over the memory limit, and so is what follows it.
    redis.call('HDEL', KEYS[1], 'wanted')
    redis.call('HSET', KEYS[1], 'wanted', token)
  end
  return reply(NOT_OWNER)
end
if offset ~= '' and offset ~= of[2] then return reply(STALE) end
redis.call('HDEL', KEYS[1], mode == 'take' and 'wanted' or '')
redis.call('HSET', KEYS[1], 'holder', token, 'until', server_ms() + tonumber(ARGV[2]))
if length ~= '' then
  redis.call('HSET', KEYS[1], 'length', length)
  of[3] = length
end
return reply(DONE, mode == 'keep' and got[3])
`,
);
