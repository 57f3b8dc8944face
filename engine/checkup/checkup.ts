import type { BlobStore } from "../blobs/blob-store.ts";
import type { DurabilityOption } from "../durability.ts";
import { newId } from "../ids.ts";
import { NamespaceKeys, SCHEMA_VERSION } from "../keys.ts";
import { Client } from "../redis/client.ts";
import { Connections } from "../redis/connections.ts";
import type { CredentialsProvider } from "../redis/credentials.ts";
import { durabilityFinding } from "./durability.ts";
import { type CheckName, type Finding, fail, looked, ok, worstOf } from "./finding.ts";
import { blobsFinding, channelsFinding, clockFinding, latencyFinding, readsFinding, scriptsFinding } from "./live.ts";
import { rightsFinding } from "./rights.ts";
import {
  connectionFinding,
  evictionFinding,
  factsOf,
  memoryFinding,
  persistenceFinding,
  replicasFinding,
  type ServerFacts,
  versionFinding,
} from "./server.ts";

/** What `checkup` looks at, and what is to be expected of it. */
export interface CheckupOptions {
  /** As `connect` takes it, like the next two. */
  url: string;
  namespace?: string;
  credentials?: CredentialsProvider;
  /** What `connect` will be asked for. */
  durability?: DurabilityOption;
  /** Opens the blob store, which is looked at too then. */
  blobs?: () => Promise<{ blobs: BlobStore; close(): void }>;
}

const OF_SERVERS: readonly ((facts: ServerFacts) => Finding)[] = [
  evictionFinding,
  memoryFinding,
  persistenceFinding,
  replicasFinding,
];

/**
 * Looks at everything that Millrace needs of its surroundings, and finds out what they can promise: one finding after the other, as
 * it is made, a few seconds in all. It opens no namespace; what it writes to try things out it removes.
 *
 * @throws MillraceError `bad_redis_url`, `bad_namespace`; UnavailableError if Redis cannot be reached at all
 */
export async function* checkup(options: CheckupOptions): AsyncGenerator<Finding> {
  const { url, namespace = "millrace", credentials, durability } = options;
  const names = new NamespaceKeys(namespace);
  const connections = await Connections.open(url, `millrace:${namespace}:checkup`, { credentials });
  const id = newId();
  const key = names.checkup(id);
  const client = new Client(connections.link);
  try {
    // Of a cluster, the nodes are known from the first reply on; who may not ask gets one too.
    await client.call("EXISTS", key).catch((error) => {
      if (error.code === "unavailable") throw error;
    });
    const servers = await Promise.all(client.masters().map(factsOf));
    const atAll = (of: (facts: ServerFacts) => Finding) =>
      worstOf(servers.map((facts) => ({ address: facts.address, finding: of(facts) })));
    const connection = connectionFinding(servers);
    yield connection;
    // All else is to be asked of its primary.
    if (connection.status === "fail") return;
    yield atAll(versionFinding);
    yield await looked("namespace", () => namespaceFinding(client, names), ASK);
    for (const of of OF_SERVERS) yield atAll(of);
    yield await looked("durability", () => durabilityFinding(client, servers, durability), ASK);
    yield await looked("latency", () => latencyFinding(client), ASK);
    yield await looked("clock", () => clockFinding(client), ASK);
    yield await looked("rights", () => rightsFinding(client, names, id), ASK);
    yield await looked("scripts", () => scriptsFinding(client, key), "Allow +eval and +evalsha.");
    yield await looked("reads", () => readsFinding(client, connections, key), ASK);
    const channels = () => channelsFinding(client, connections.subscriber(), names, id);
    yield await looked("channels", channels, "Allow the channels and commands that the README lists.");
    if (options.blobs !== undefined) yield await blobs(options.blobs, id);
  } finally {
    await client.call("UNLINK", key).catch(() => {});
    connections.close();
  }
}

const ASK = "See what Redis said.";

async function namespaceFinding(client: Client, names: NamespaceKeys): Promise<Finding> {
  const check: CheckName = "namespace";
  const stored = (await client.call("HMGET", names.meta(), "schema", "partitions")) as (string | null)[];
  const [schema, partitions] = stored;
  const name = names.namespace;
  if (schema == null) return ok(check, `${name} is not there yet: the first process makes it`);
  if (Number(schema) === SCHEMA_VERSION) return ok(check, `${name} has schema ${schema}, partitions: ${partitions}`);
  const found = `${name} has schema ${schema}, and this version of Millrace knows schema ${SCHEMA_VERSION}`;
  return fail(check, found, "Use the version of Millrace that made it, or set MILLRACE_NAMESPACE to another name.");
}

async function blobs(open: NonNullable<CheckupOptions["blobs"]>, id: string): Promise<Finding> {
  const look = async () => {
    const { blobs, close } = await open();
    try {
      return await blobsFinding(blobs, id);
    } finally {
      close();
    }
  };
  return looked("blobs", look, "Set MILLRACE_BLOBS to a store that this process may write to.");
}
