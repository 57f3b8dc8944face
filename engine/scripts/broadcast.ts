import { script } from "./script.ts";

/**
 * Changes a key of the configuration, or makes a topic's cached results void, and tells every process.
 *
 * A topic's generation is `COUNT-TIME_MS`: one that is lost and counted anew is told from the one before. The
 * configuration is the topic `config`. The first write is a HDEL, so that a flag can be turned off over the memory limit.
 *
 * KEYS  1 generations  2 config
 * ARGV  1 channel  2 topic  3 subject ('' for all of the topic)  4 `set`, `delete` or `drop`  5 the value, for `set`
 *       6 how many topics and 7 keys there may be  8 how many bytes the configuration may take
 *       9 for `set`: which revision the key must have now: a number, `*` any, `-` none; '' or nothing: as it may be
 * Returns  {Done, the generation before or '-', the generation now}; {Already} where there is nothing to delete;
 *          {Full, `topics`, `keys` or `bytes`}; {Stale} where the
 *          revision is another; {WrongType}
 * Publishes  the line `TOPIC BEFORE NOW ACT`, the subject, and for `set` the line as stored; past 8 KB the act is `read`
 */
export const broadcast = script(
  "broadcast",
  `
local wrong, any = wrong_types('hh')
if any then return { WRONG_TYPE } end
local topic, subject, act, value = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local wanted = ARGV[9] or ''
if wanted ~= '' then
  local revision = string.match(redis.call('HGET', KEYS[2], subject) or '', '^(%d+)-')
  local is_so = revision == wanted or (wanted == '*' and revision) or (wanted == '-' and not revision)
  if not is_so then return { STALE } end
end
local before = redis.call('HGET', KEYS[1], topic)
if not before and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[6]) then return { FULL, 'topics' } end
if act == 'delete' and redis.call('HEXISTS', KEYS[2], subject) == 0 then return { ALREADY } end
if act == 'set' then
  local length = redis.call('HSTRLEN', KEYS[2], subject)
  if length == 0 and redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[7]) then return { FULL, 'keys' } end
  local size = redis.call('MEMORY', 'USAGE', KEYS[2], 'SAMPLES', 0) or 0
  -- What grows nothing is always taken.
  if #value > length and size - length + #value > tonumber(ARGV[8]) then return { FULL, 'bytes' } end
end
local count = tonumber(string.match(before or '', '^(%d+)-') or 0) + 1
local now = count .. '-' .. now_ms()
local text = subject
redis.call('HDEL', KEYS[1], topic)
redis.call('HSET', KEYS[1], topic, now)
if act == 'delete' then redis.call('HDEL', KEYS[2], subject) end
if act == 'set' then
  local line = now .. ' ' .. value
  redis.call('HSET', KEYS[2], subject, line)
  if #line > NUDGE_BYTES then act = 'read' else text = subject .. '\\n' .. line end
end
redis.call('PUBLISH', ARGV[1], topic .. ' ' .. (before or '-') .. ' ' .. now .. ' ' .. act .. '\\n' .. text)
return { DONE, before or '-', now }
`,
);
