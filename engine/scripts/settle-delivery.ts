import { changeSubscriptions } from "./parts/subscriptions.ts";
import { script } from "./script.ts";

/**
 * Settles one event that a consumer of a subscription has in hand.
 *
 * KEYS  1 subscriptions  2 stream  3 redeliveries  4 dead letters
 * ARGV  1 group  2 consumer  3 entry  4 delivery count  5 how it ended  6 failures and 7 crashes as of this delivery
 *       8 delay in ms for `retry`, error (JSON) for `dead`, else ''  9 how many bytes the dead letters may take
 *       `done`: it is gone; `retry`: it is tried again after the delay; `dead`: it is a dead letter; `release`: it goes back
 *       to the end of its stream, uncharged
 * Returns  Done; NotOwner if it is not pending for this consumer with this count; WrongType
 *
 * The first write is XACK, which is allowed over the memory limit, and so is what follows it.
 */
export const settleDelivery = script(
  "settle-delivery",
  `
${changeSubscriptions}
local wrong, any = wrong_types('hszs')
if any then return WRONG_TYPE end
local group, entry, ending = ARGV[1], ARGV[3], ARGV[5]
local pending = redis.pcall('XPENDING', KEYS[2], GROUP, entry, entry, 1, ARGV[2])
if pending.err or not pending[1] or pending[1][4] ~= tonumber(ARGV[4]) then return NOT_OWNER end
local found = redis.call('XRANGE', KEYS[2], entry, entry)[1]
redis.call('XACK', KEYS[2], GROUP, entry)
redis.call('XDEL', KEYS[2], entry)
if ending == 'done' or not found then return DONE end

local of = {}
for k = 1, #found[2], 2 do of[found[2][k]] = found[2][k + 1] end
local fields = { 'run', of.run, 'tenant', of.tenant, 'workflow', of.workflow, 'version', of.version, 'seq', of.seq,
  'line', of.line }
local function put(field, value)
  fields[#fields + 1] = field
  fields[#fields + 1] = value
end
if ending == 'retry' then
  redis.call('ZADD', KEYS[3], now_ms() + tonumber(ARGV[8]), table.concat({ of.run, of.seq, of.tenant, of.workflow,
    of.version, ARGV[6], ARGV[7], of.line }, '|'))
elseif ending == 'release' then
  put('failures', ARGV[6])
  put('crashes', ARGV[7])
  redis.call('XADD', KEYS[2], '*', unpack(fields))
else
  put('attempts', ARGV[6] + ARGV[7])
  put('error', ARGV[8])
  redis.call('XADD', KEYS[4], '*', unpack(fields))
  local length = redis.call('XLEN', KEYS[4])
  if (length % LOG_LOOK == 0 or #of.line > NUDGE_BYTES) and redis.call('MEMORY', 'USAGE', KEYS[4]) > tonumber(ARGV[9])
    and redis.call('HEXISTS', KEYS[1], 'of:' .. group) == 1 and redis.call('HEXISTS', KEYS[1], 'paused:' .. group) == 0 then
    pause_subscription(KEYS[1], group, 'dead_letters')
  end
end
return DONE
`,
);
