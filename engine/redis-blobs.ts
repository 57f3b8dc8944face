import { ObjectBlobStore } from "./blobs/object-blobs.ts";
import { MillraceError } from "./errors.ts";
import { NamespaceKeys } from "./keys.ts";
import { Client } from "./redis/client.ts";
import { Connections } from "./redis/connections.ts";
import type { CredentialsProvider } from "./redis/credentials.ts";
import { RedisObjects } from "./store/redis-objects.ts";

/** Which Redis, and how large a blob may be. */
export interface RedisBlobsOptions {
  /** As `connect` takes it. */
  url: string;
  /** Default `millrace`. */
  namespace?: string | undefined;
  credentials?: CredentialsProvider | undefined;
  /** Of one blob. Default 64 MB. */
  maxBytes?: number | undefined;
}

const DEFAULT_MAX_BYTES = 67_108_864;

/**
 * Blobs in Redis, over a connection of their own: for documents that are small and few, where nothing else is at hand.
 * They have the memory and the durability of that server.
 *
 * @throws MillraceError `bad_redis_url`, `bad_namespace`, `bad_option`; UnavailableError
 */
export async function redisBlobs(options: RedisBlobsOptions): Promise<ObjectBlobStore & { close(): void }> {
  const { url, namespace = "millrace", credentials, maxBytes = DEFAULT_MAX_BYTES } = options;
  if (!(Number.isSafeInteger(maxBytes) && maxBytes > 0))
    throw new MillraceError("bad_option", "maxBytes is a whole number of bytes, 1 or more.");
  const keys = new NamespaceKeys(namespace);
  const connections = await Connections.open(url, `millrace:${namespace}:blobs`, { credentials });
  const store = new ObjectBlobStore(new RedisObjects(new Client(connections.link), keys), { maxBytes });
  return Object.assign(store, { close: () => connections.close() });
}
