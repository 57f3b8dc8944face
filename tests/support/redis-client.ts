import { Redis } from "ioredis";

/** A client that gives up soon and does not come back. The caller disconnects it. */
export function connectTo(url: string): Redis {
  const client = new Redis(url, {
    maxRetriesPerRequest: 1,
    connectTimeout: 5_000,
    commandTimeout: 10_000,
    retryStrategy: () => null,
  });
  // Every command rejects with it; without a listener ioredis prints it as well.
  client.on("error", () => client.disconnect());
  return client;
}

export async function keysLike(client: Redis, pattern: string): Promise<string[]> {
  const keys = new Set<string>();
  for await (const page of client.scanStream({ match: pattern, count: 1_000 }))
    for (const key of page as string[]) keys.add(key);
  return [...keys].sort();
}
