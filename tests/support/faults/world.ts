import type { Redis } from "ioredis";
import { connectTo, keysLike } from "../redis-client.ts";

/** Everything that Redis holds of a namespace, read past the engine. */
export interface World {
  /** By key, of each type. */
  hashes: Map<string, Record<string, string>>;
  lists: Map<string, string[]>;
  /** Members and their scores. */
  sorted: Map<string, Map<string, number>>;
  streams: Map<string, HeldStream>;
  sets: Map<string, string[]>;
  /** What is of no type that the engine uses. */
  others: Map<string, string>;
}

export interface HeldStream {
  /** Fields of each entry, by its id. */
  entries: Map<string, Record<string, string>>;
  /** Of the group `workers`: consumer and delivery count, by the entry's id. */
  pending: Map<string, { consumer: string; count: number }>;
}

const AT_ONCE = 200;

/** @param urls of every server that holds keys: of a cluster its masters */
export async function readWorld(urls: readonly string[], namespace: string): Promise<World> {
  const maps = { hashes: new Map(), lists: new Map(), sorted: new Map(), streams: new Map(), sets: new Map() };
  const world: World = { ...maps, others: new Map() };
  for (const url of urls) {
    const client = connectTo(url);
    try {
      const keys = [...(await keysLike(client, `{${namespace}}*`)), ...(await keysLike(client, `{${namespace}:*}*`))];
      for (let at = 0; at < keys.length; at += AT_ONCE)
        await Promise.all(keys.slice(at, at + AT_ONCE).map((key) => read(client, key, world)));
    } finally {
      client.disconnect();
    }
  }
  return world;
}

async function read(client: Redis, key: string, world: World): Promise<void> {
  const type = await client.type(key);
  if (type === "hash") world.hashes.set(key, await client.hgetall(key));
  else if (type === "list") world.lists.set(key, await client.lrange(key, 0, -1));
  else if (type === "zset") world.sorted.set(key, await readSorted(client, key));
  else if (type === "stream") world.streams.set(key, await readStream(client, key));
  else if (type === "set") world.sets.set(key, await client.smembers(key));
  else world.others.set(key, type);
}

async function readSorted(client: Redis, key: string): Promise<Map<string, number>> {
  const flat = await client.zrange(key, "0", "-1", "WITHSCORES");
  const members = new Map<string, number>();
  for (let i = 0; i + 1 < flat.length; i += 2) members.set(flat[i]!, Number(flat[i + 1]));
  return members;
}

async function readStream(client: Redis, key: string): Promise<HeldStream> {
  const entries = (await client.xrange(key, "-", "+")).map(([id, flat]) => [id, fieldsOf(flat)] as const);
  const pending = new Map<string, { consumer: string; count: number }>();
  const groups = (await client.xinfo("GROUPS", key)) as unknown[][];
  if (groups.some((group) => group[1] === "workers")) {
    const rows = (await client.call("XPENDING", key, "workers", "-", "+", "1000000")) as [
      string,
      string,
      number,
      number,
    ][];
    for (const [id, consumer, , count] of rows) pending.set(id, { consumer, count });
  }
  return { entries: new Map(entries), pending };
}

function fieldsOf(flat: readonly string[]): Record<string, string> {
  const fields: Record<string, string> = {};
  for (let i = 0; i + 1 < flat.length; i += 2) fields[flat[i]!] = flat[i + 1]!;
  return fields;
}
