import { Cluster, Redis } from "ioredis";
import { parseRedisUrl } from "../../engine/redis/address.ts";

const OPTIONS = { maxRetriesPerRequest: 1, connectTimeout: 5_000, commandTimeout: 10_000 };

/** A client that gives up soon and does not come back. The caller disconnects it. */
export function connectTo(url: string): Redis {
  const client = new Redis(url, { ...OPTIONS, retryStrategy: () => null });
  // Every command rejects with it; without a listener ioredis prints it as well.
  client.on("error", () => client.disconnect());
  return client;
}

/** The same to a cluster: it takes the commands that one server takes, but for those of keys in several slots. */
export function connectToCluster(url: string): Redis {
  const { password } = new URL(url);
  const client = new Cluster([...parseRedisUrl(url).seeds], {
    redisOptions: { ...OPTIONS, ...(password === "" ? {} : { password }) },
    clusterRetryStrategy: () => null,
  });
  client.on("error", () => client.disconnect());
  return client as unknown as Redis;
}

/** Whether a server is a node of a cluster. */
export async function isClusterAt(url: string): Promise<boolean> {
  const client = connectTo(url);
  try {
    return (await client.info("cluster")).includes("cluster_enabled:1");
  } finally {
    client.disconnect();
  }
}

/** The servers that a client speaks to: itself, or of a cluster every node, or its masters alone. */
export async function serversOf(client: Redis, role: "all" | "master" = "all"): Promise<Redis[]> {
  const cluster: unknown = client;
  if (!(cluster instanceof Cluster)) return [client];
  // Nothing is known of the nodes until one has answered.
  await client.ping();
  return cluster.nodes(role);
}

/** Every key that is like a pattern, sorted. */
export async function keysLike(client: Redis, pattern: string): Promise<string[]> {
  const servers = await serversOf(client, "master");
  if (servers[0] === client) return scan(servers, pattern);
  // Keys that move to a server that was asked already would not be seen.
  for (;;) {
    const before = await slotsOf(servers);
    const keys = await scan(servers, pattern);
    if (!before.includes("[") && before === (await slotsOf(servers))) return keys;
  }
}

async function scan(servers: readonly Redis[], pattern: string): Promise<string[]> {
  const keys = new Set<string>();
  for (const server of servers)
    for await (const page of server.scanStream({ match: pattern, count: 1_000 }))
      for (const key of page as string[]) keys.add(key);
  return [...keys].sort();
}

/** Which slots each server has, with its epoch, and in brackets those that are on the move. */
async function slotsOf(servers: readonly Redis[]): Promise<string> {
  const tables = await Promise.all(servers.map(async (server) => String(await server.call("CLUSTER", "NODES"))));
  const own = tables.map((table) =>
    table
      .split("\n")
      .find((line) => line.includes("myself"))!
      .split(" "),
  );
  return own.map((fields) => [fields[0], ...fields.slice(6)].join(" ")).join("\n");
}

/** The channels like a pattern that somebody listens to, at any node. */
export async function channelsLike(client: Redis, pattern: string): Promise<string[]> {
  const lists = (await serversOf(client)).map((server) => server.pubsub("CHANNELS", pattern) as Promise<string[]>);
  return [...new Set((await Promise.all(lists)).flat())];
}

/** A connection as its server lists it. */
export interface Connection {
  line: string;
  kill(): Promise<unknown>;
}

/** The connections of this name, at any node. */
export async function connectionsNamed(client: Redis, name: RegExp): Promise<Connection[]> {
  const lists = (await serversOf(client)).map(async (server) => {
    const lines = String(await server.client("LIST")).split("\n");
    const found = lines.filter((line) => name.test(/ name=(\S*)/.exec(line)?.[1] ?? ""));
    return found.map((line) => ({ line, kill: () => server.client("KILL", "ID", Number(/^id=(\d+)/.exec(line)![1])) }));
  });
  return (await Promise.all(lists)).flat();
}
