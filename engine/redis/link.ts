import { Cluster, Redis, type RedisOptions } from "ioredis";
import { UnavailableError } from "../errors.ts";
import { pauseMs } from "../retry.ts";
import type { RedisAddress, Seed } from "./address.ts";
import { Client, callOptions, type Link, openForCalls, RECONNECT_FROM_MS, RECONNECT_TO_MS } from "./client.ts";
import type { Login } from "./credentials.ts";
import { hearErrors } from "./socket-errors.ts";

export interface LinkOptions {
  /** What the connections are called at the server. */
  name: string;
  /** With what they sign in, instead of what stands in the address. */
  login: Login | undefined;
  /** Told of each connection before it is opened. */
  opened(redis: Redis): void;
}

/**
 * Opens what calls go over: a connection to one server, which sentinels may know, or those to the nodes of a cluster.
 *
 * @throws UnavailableError
 */
export async function openLink(address: RedisAddress, options: LinkOptions): Promise<Link> {
  const url = address.sentinelName === undefined ? await answering(address, options) : address.urls[0]!;
  const redis = openServer(url, address, options);
  options.opened(redis);
  if (address.sentinelName !== undefined) return ready(redis);
  try {
    if (!(await isClusterNode(new Client(redis)))) return redis;
  } catch (error) {
    redis.disconnect();
    throw error;
  }
  redis.disconnect();
  return openCluster(redis.options, address.seeds, options);
}

/** Of several servers the first primary that answers, else the first that answers. @throws UnavailableError */
async function answering(address: RedisAddress, options: LinkOptions): Promise<string> {
  const [first, ...others] = address.urls;
  if (others.length === 0) return first!;
  let replica: string | undefined;
  let failure: unknown;
  for (const url of address.urls) {
    // A connection of one life: one that cannot be made fails at once.
    const redis = openServer(url, address, options, { retryStrategy: () => null });
    hearErrors(redis);
    try {
      const greeting = (await new Client(redis).call("HELLO")) as unknown[];
      if (greeting[greeting.indexOf("role") + 1] === "master") return url;
      replica ??= url;
    } catch (error) {
      failure = error;
    } finally {
      redis.disconnect();
    }
  }
  if (replica === undefined) throw failure;
  return replica;
}

function openServer(
  url: string,
  { sentinelName, seeds }: RedisAddress,
  options: LinkOptions,
  more?: RedisOptions,
): Redis {
  const { name, login } = options;
  const target = new URL(url);
  // What stands in the address comes first for ioredis.
  if (login !== undefined) target.username = target.password = "";
  const given = { lazyConnect: true, ...login?.options, ...more };
  if (sentinelName === undefined) return openForCalls(String(target), name, given);
  const { username, password, pathname } = target;
  const named = username === "" ? {} : { username: decodeURIComponent(username) };
  return new Redis({
    ...{ ...callOptions(name), ...named, ...(password === "" ? {} : { password: decodeURIComponent(password) }) },
    ...{ db: Number(pathname.slice(1)), ...given, name: sentinelName, sentinels: [...seeds] },
    sentinelRetryStrategy: (times) => pauseMs(times, RECONNECT_FROM_MS, RECONNECT_TO_MS),
  });
}

/** @throws UnavailableError */
async function ready(redis: Redis): Promise<Redis> {
  try {
    await new Client(redis).call("PING");
    return redis;
  } catch (error) {
    redis.disconnect();
    throw error;
  }
}

/** @throws UnavailableError */
async function isClusterNode(client: Client): Promise<boolean> {
  try {
    return /cluster_enabled:1/.test(String(await client.call("INFO", "cluster")));
  } catch (error) {
    if (error instanceof UnavailableError) throw error;
    // A user who may not ask is told as part of the greeting.
    const greeting = (await client.call("HELLO")) as unknown[];
    return greeting[greeting.indexOf("mode") + 1] === "cluster";
  }
}

/** Opens what calls to the nodes of a cluster go over. */
export function openCluster(
  { host, port, ...options }: RedisOptions,
  seeds: readonly Seed[],
  { name, opened }: LinkOptions,
): Cluster {
  // A node is made ready by the listener below before it is connected to.
  const { retryStrategy: _, ...redisOptions } = { ...options, ...callOptions(name), lazyConnect: true };
  const cluster = new Cluster([...seeds], {
    redisOptions,
    // A certificate is of names, and workerd resolves them itself.
    dnsLookup: (address, done) => done(null, address),
    enableAutoPipelining: false,
    // A script whose keys are half moved is sent to and fro until they all are: the call's own deadline ends that.
    maxRedirections: 1_000,
    clusterRetryStrategy: (times) => pauseMs(times, RECONNECT_FROM_MS, RECONNECT_TO_MS),
  });
  cluster.on("+node", (node: Redis) => {
    nameForTls(node, host);
    opened(node);
  });
  return cluster;
}

/** Nodes tell each other's addresses, and no certificate is of an address: its name is that of the node that was asked. */
function nameForTls({ options }: Redis, servername: string | undefined): void {
  if (options.tls === undefined || servername === undefined || !isAddress(options.host)) return;
  options.tls = { servername, ...options.tls };
}

function isAddress(host = ""): boolean {
  return /^[\d.]+$/.test(host) || host.includes(":");
}
