import { script } from "./script.ts";

/**
 * Reads the generation of every topic, and the configuration if its own is not the known one, at one instant.
 *
 * KEYS  1 generations  2 config
 * ARGV  1 the known generation of the configuration; `-` if it never had one; '' to read it in any case
 * Returns  {Done, {topic, generation, …}} and, if it is another, {key, `GENERATION JSON`, …}; {WrongType}
 */
export const readBroadcast = script(
  "read-broadcast",
  `
local wrong, any = wrong_types('hh')
if any then return { WRONG_TYPE } end
local generations = redis.call('HGETALL', KEYS[1])
if (redis.call('HGET', KEYS[1], 'config') or '-') == ARGV[1] then return { DONE, generations } end
return { DONE, generations, redis.call('HGETALL', KEYS[2]) }
`,
);
