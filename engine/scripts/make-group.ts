import { script } from "./script.ts";

/**
 * Makes the group of a stream, from its first entry on, and the stream.
 *
 * KEYS  1 stream
 * Returns  Done; Already if it was there
 *
 * The first write is XACK, which is allowed over the memory limit, and so is what follows: without groups nothing would move
 * that could free memory.
 */
export const makeGroup = script(
  "make-group",
  `
redis.pcall('XACK', KEYS[1], GROUP, '0-0')
local made = redis.pcall('XGROUP', 'CREATE', KEYS[1], GROUP, '0', 'MKSTREAM')
if not made.err then return DONE end
if string.find(made.err, 'BUSYGROUP', 1, true) then return ALREADY end
return made
`,
);
