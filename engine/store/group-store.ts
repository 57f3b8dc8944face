import { GROUP } from "../keys.ts";
import type { Call, Client } from "../redis/client.ts";
import { makeGroup } from "../scripts/make-group.ts";
import { Reply } from "../scripts/script.ts";

/**
 * Makes the groups of these streams that are not there, and the streams, from their first entry on. Idempotent.
 *
 * @returns how many it has made
 */
export async function ensureGroups(client: Client, streams: readonly { key: string }[]): Promise<number> {
  let made = 0;
  const groups = await client.replies(streams.map(({ key }): Call => ["XINFO", "GROUPS", key]));
  for (const [i, { key }] of streams.entries()) {
    const there = groups[i];
    if (Array.isArray(there) && there.some((group: unknown[]) => group[1] === GROUP)) continue;
    if ((await client.run(makeGroup, [key], [])) === Reply.Done) made += 1;
  }
  return made;
}
