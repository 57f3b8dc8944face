import { script } from "./script.ts";

/**
 * Gives an upload up that a request has held.
 *
 * KEYS  1 upload
 * ARGV  1 token of the request
 * Returns  Done; NotOwner; WrongType
 */
export const releaseUpload = script(
  "release-upload",
  `
local _, any = wrong_types('h')
if any then return WRONG_TYPE end
if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[1] then return NOT_OWNER end
redis.call('HDEL', KEYS[1], 'holder', 'until', 'wanted')
return DONE
`,
);
