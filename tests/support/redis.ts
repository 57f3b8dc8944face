import { randomBytes } from "node:crypto";
import type { Redis } from "ioredis";
import { inject } from "vitest";
import { parseRedisUrl } from "../../engine/redis/address.ts";
import { type Link, openForCalls } from "../../engine/redis/client.ts";
import { openCluster } from "../../engine/redis/link.ts";
import { hearErrors } from "../../engine/redis/socket-errors.ts";
import { connectTo, connectToCluster, keysLike } from "./redis-client.ts";
import { runName } from "./run.ts";

declare module "vitest" {
  interface ProvidedContext {
    redisUrl: string;
    isCluster: boolean;
  }
}

/** The server of this run of the suite. */
export const redisUrl = inject("redisUrl");

/** How the engine finds it, if as a user with fewer rights than a test has that looks into Redis: the suite holds for any. */
export const engineUrl = process.env.TEST_ENGINE_URL ?? redisUrl;

/** Whether the server of this run is a node of a cluster. */
export const isCluster = inject("isCluster");

const ofCluster = (url: string) => isCluster && [redisUrl, engineUrl].includes(url);

const namespaces = new Set<string>();
const clients = new Set<Redis>();

/** A namespace that no other test uses. Its keys are removed after the file's last test. */
export function freshNamespace(): string {
  const namespace = `test-${runName()}-${randomBytes(4).toString("hex")}`;
  namespaces.add(namespace);
  return namespace;
}

const open = (url: string) => (ofCluster(url) ? connectToCluster(url) : connectTo(url));

/** A client to look into Redis with, past the engine. Closed after the file's last test. */
export function rawRedis(url = redisUrl): Redis {
  const client = open(url);
  clients.add(client);
  return client;
}

/** What the engine's calls go over, for a test that makes them itself. The caller closes it. */
export function linkTo(url: string, name: string): Link {
  if (!ofCluster(url)) return openForCalls(url, name);
  return openCluster({}, parseRedisUrl(url).seeds, { name, login: undefined, opened: hearErrors });
}

/** Every key of a namespace, sorted. */
export async function leftovers(url: string, namespace: string): Promise<string[]> {
  const client = open(url);
  try {
    return [...(await keysLike(client, `{${namespace}:*}*`)), ...(await keysLike(client, `{${namespace}}*`))].sort();
  } finally {
    client.disconnect();
  }
}

/** Run after each file's last test. */
export async function cleanRedis(): Promise<void> {
  if (namespaces.size > 0) {
    const client = rawRedis();
    for (const namespace of namespaces) {
      const keys = await leftovers(redisUrl, namespace);
      for (let at = 0; at < keys.length; at += 500)
        await Promise.all(keys.slice(at, at + 500).map((key) => client.unlink(key)));
    }
    namespaces.clear();
  }
  for (const client of clients) client.disconnect();
  clients.clear();
}
