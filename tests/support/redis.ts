import { randomBytes } from "node:crypto";
import type { Redis } from "ioredis";
import { inject } from "vitest";
import { connectTo, keysLike } from "./redis-client.ts";
import { runName } from "./run.ts";

declare module "vitest" {
  interface ProvidedContext {
    redisUrl: string;
  }
}

/** The server of this run of the suite. */
export const redisUrl = inject("redisUrl");

/** How the engine finds it, if as a user with fewer rights than a test has that looks into Redis: the suite holds for any. */
export const engineUrl = process.env.TEST_ENGINE_URL ?? redisUrl;

const namespaces = new Set<string>();
const clients = new Set<Redis>();

/** A namespace that no other test uses. Its keys are removed after the file's last test. */
export function freshNamespace(): string {
  const namespace = `test-${runName()}-${randomBytes(4).toString("hex")}`;
  namespaces.add(namespace);
  return namespace;
}

/** A client to look into Redis with, past the engine. Closed after the file's last test. */
export function rawRedis(url = redisUrl): Redis {
  const client = connectTo(url);
  clients.add(client);
  return client;
}

/** Every key of a namespace, sorted. */
export async function leftovers(url: string, namespace: string): Promise<string[]> {
  const client = connectTo(url);
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
      for (let at = 0; at < keys.length; at += 500) await client.unlink(...keys.slice(at, at + 500));
    }
    namespaces.clear();
  }
  for (const client of clients) client.disconnect();
  clients.clear();
}
