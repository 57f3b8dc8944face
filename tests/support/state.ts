import type { Redis } from "ioredis";
import { keysLike } from "./redis-client.ts";

/** What a key holds, in a form that reads well in a table of before and after. */
export type Held = Record<string, string> | string[];

/**
 * Everything that a namespace holds, by key without its prefix, with what differs from run to run replaced: entries' ids
 * by E1, E2 … in the order of the keys, times by T, and the given ids by their names. A stream's entries are shown as
 * `E1 field=value …`, and behind them, as `pending E1 consumer count`, what is pending in its group.
 */
export async function stateOf(redis: Redis, namespace: string, names: Record<string, string>): Promise<State> {
  const prefix = `{${namespace}:0}:`;
  const state: State = {};
  for (const key of await keysLike(redis, `${prefix}*`)) state[key.slice(prefix.length)] = await read(redis, key);
  return rename(state, names);
}

export type State = Record<string, Held>;

async function read(redis: Redis, key: string): Promise<Held> {
  switch (await redis.type(key)) {
    case "hash":
      // A large hash has no order of its own.
      return Object.fromEntries(Object.entries(await redis.hgetall(key)).sort());
    case "list":
      return redis.lrange(key, 0, -1);
    case "zset": {
      const flat = await redis.zrange(key, "0", "-1", "WITHSCORES");
      const members: Record<string, string> = {};
      for (let i = 0; i + 1 < flat.length; i += 2) members[flat[i]!] = flat[i + 1]!;
      return members;
    }
    case "stream":
      return stream(redis, key);
    default:
      return [`a string: ${await redis.get(key)}`];
  }
}

async function stream(redis: Redis, key: string): Promise<string[]> {
  const entries = (await redis.xrange(key, "-", "+")).map(([id, fields]) => {
    const pairs: string[] = [];
    for (let i = 0; i + 1 < fields.length; i += 2) pairs.push(`${fields[i]}=${fields[i + 1]}`);
    return `${id} ${pairs.join(" ")}`;
  });
  const groups = (await redis.xinfo("GROUPS", key)) as unknown[];
  if (groups.length === 0) return entries;
  const pending = (await redis.call("XPENDING", key, "workers", "-", "+", "100")) as [string, string, number, number][];
  return [...entries, ...pending.map(([id, consumer, , count]) => `pending ${id} ${consumer} ${count}`)];
}

function rename(state: State, names: Record<string, string>): State {
  let text = JSON.stringify(state);
  for (const [name, id] of Object.entries(names)) text = text.replaceAll(id, name);
  const entries = new Map<string, string>();
  text = text.replace(/\b\d{13}-\d+\b/g, (id) => {
    if (!entries.has(id)) entries.set(id, `E${entries.size + 1}`);
    return entries.get(id)!;
  });
  return JSON.parse(text.replace(/\b\d{13}\b/g, "T")) as State;
}

export type Changes = Record<string, Held | "gone">;

/** What is different after: keys that are new or changed as they are now, keys that are gone as `gone`. */
export function changes(before: State, after: State): Changes {
  const changed: Changes = {};
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
    if (JSON.stringify(before[key]) === JSON.stringify(after[key])) continue;
    changed[key] = after[key] ?? "gone";
  }
  return changed;
}
