import { script } from "./script.ts";

/**
 * Puts events that are to be tried again, and are due, back into their subscription's stream.
 *
 * KEYS  1 redeliveries  2 stream
 * ARGV  1 how many at most, up to 100
 * Returns  {how many there were, how many wait still, in how many ms the next one is due or -1}; {WrongType}
 *
 * The first write is ZREM, which is allowed over the memory limit, and so is what follows it.
 */
export const redeliver = script(
  "redeliver",
  `
local wrong, any = wrong_types('zs')
if any then return { WRONG_TYPE } end
local now = now_ms()
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, tonumber(ARGV[1]))
for i = 1, #due do
  redis.call('ZREM', KEYS[1], due[i])
  local run, seq, tenant, workflow, version, failures, crashes, line =
    string.match(due[i], '^([^|]*)|([^|]*)|([^|]*)|([^|]*)|([^|]*)|([^|]*)|([^|]*)|(.*)$')
  if run then
    redis.call('XADD', KEYS[2], '*', 'run', run, 'tenant', tenant, 'workflow', workflow, 'version', version, 'seq', seq,
      'line', line, 'failures', failures, 'crashes', crashes)
  end
end
local next = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
return { #due, redis.call('ZCARD', KEYS[1]), next[2] and math.max(0, tonumber(next[2]) - now) or -1 }
`,
);
