import { type Entry, parseEntry, type StepStream } from "./entry.ts";
import { GROUP } from "./keys.ts";
import { logger } from "./log.ts";
import type { Call, Client } from "./redis/client.ts";

const log = logger("streams");

/**
 * Makes the groups of these streams that are not there, and the streams, from their first entry on. Idempotent. Looks
 * before it writes: over its memory limit Redis refuses to make even a group that exists.
 *
 * @returns how many it has made
 */
export async function ensureGroups(client: Client, streams: readonly { key: string }[]): Promise<number> {
  let made = 0;
  const groups = await client.replies(streams.map(({ key }): Call => ["XINFO", "GROUPS", key]));
  for (const [i, { key }] of streams.entries()) {
    const there = groups[i];
    if (Array.isArray(there) && there.some((group: unknown[]) => group[1] === GROUP)) continue;
    try {
      await client.call("XGROUP", "CREATE", key, GROUP, "0", "MKSTREAM");
      made += 1;
    } catch (error) {
      if (!(error instanceof Error && error.message.includes("BUSYGROUP"))) throw error;
    }
  }
  return made;
}

/** Reads new entries: of each stream its own count, without waiting. */
export async function take(
  client: Client,
  consumer: string,
  wanted: readonly [StepStream, number][],
): Promise<Entry[]> {
  const calls = wanted.map(
    ([stream, count]): Call => ["XREADGROUP", "GROUP", GROUP, consumer, "COUNT", count, "STREAMS", stream.key, ">"],
  );
  const replies = (await client.pipeline(calls)) as (unknown[] | null)[];
  return decodeEntries(replies.flatMap((reply, i) => rawEntries(reply, [wanted[i]![0]])));
}

/** Waits up to `blockMs` for a new entry in any of these streams: one, of the first that has some. */
export async function takeOne(
  client: Client,
  consumer: string,
  streams: readonly StepStream[],
  blockMs: number,
): Promise<Entry[]> {
  const call: Call = ["XREADGROUP", "GROUP", GROUP, consumer, "COUNT", 1, "BLOCK", blockMs, "STREAMS"];
  for (const stream of streams) call.push(stream.key);
  for (let i = 0; i < streams.length; i += 1) call.push(">");
  return decodeEntries(rawEntries((await client.call(...call)) as unknown[] | null, streams));
}

export interface RawEntry {
  stream: StepStream;
  id: string;
  count: number;
  fields: string[];
}

/** Raw entries as entries; what no script of ours has written is reported and left pending. */
export function decodeEntries(raw: readonly RawEntry[]): Entry[] {
  const entries: Entry[] = [];
  for (const { stream, id, count, fields } of raw) {
    const entry = parseEntry(stream, id, count, fields);
    if (entry !== undefined) entries.push(entry);
    else
      log.error("entry {id} of {key} is not one of ours, and is left pending: {fields}", {
        id,
        key: stream.key,
        fields,
      });
  }
  return entries;
}

/** The entries of a reply of XREADGROUP: stream keys and their entries in turn. */
function rawEntries(reply: unknown[] | null, streams: readonly StepStream[]): RawEntry[] {
  const raw: RawEntry[] = [];
  for (let i = 0; reply !== null && i + 1 < reply.length; i += 2) {
    const stream = streams.find((each) => each.key === reply[i]);
    if (stream === undefined) continue;
    for (const [id, fields] of reply[i + 1] as [string, string[]][]) raw.push({ stream, id, count: 1, fields });
  }
  return raw;
}
