import { Cluster, type Redis, type RedisOptions } from "ioredis";
import { MillraceError, UnavailableError } from "../errors.ts";
import { pauseMs } from "../retry.ts";
import {
  Client,
  callOptions,
  classify,
  type Link,
  openForCalls,
  RECONNECT_FROM_MS,
  RECONNECT_TO_MS,
  readerOptions,
} from "./client.ts";
import { type KeepAlive, keepAlive } from "./keep-alive.ts";
import { Subscriber } from "./subscriber.ts";

/** The connections of one process to one server or cluster: for calls, for blocking reads, and for what is published. */
export class Connections {
  readonly #link: Link;
  readonly #calls: Client;
  readonly #name: string;
  readonly #keep: KeepAlive | undefined;
  readonly #open: () => Link;
  #waiting: Link | undefined;
  /** By key, of which there is one for each partition. */
  readonly #slots = new Map<string, number>();
  #subscriber: Subscriber | undefined;

  private constructor(open: (name: string) => Link, name: string, keep: KeepAlive | undefined, link = open(name)) {
    this.#open = () => open(`${name}:waiting`);
    this.#link = link;
    this.#keep = keep;
    this.#calls = new Client(link);
    this.#name = name;
  }

  /**
   * Connects, and finds out whether the server is a node of a cluster.
   *
   * @param name what the connections are called at the server
   * @param keep how they are kept open while nothing is asked for over them
   * @throws MillraceError `bad_redis_url`; UnavailableError
   */
  static async open(url: string, name: string, keep?: KeepAlive): Promise<Connections> {
    const redis = openForCalls(url, name);
    keepAlive(redis, keep);
    try {
      if (!(await isClusterNode(new Client(redis)))) {
        const another = (connectionName: string) => {
          const link = redis.duplicate({ connectionName });
          keepAlive(link, keep);
          return link;
        };
        return new Connections(another, name, keep, redis);
      }
      redis.disconnect();
      const openAll = (connectionName: string) => {
        const cluster = openCluster(redis.options, connectionName);
        cluster.on("+node", (node: Redis) => keepAlive(node, keep));
        return cluster;
      };
      return new Connections(openAll, name, keep);
    } catch (error) {
      redis.disconnect();
      throw error;
    }
  }

  /** What calls go over. */
  get link(): Link {
    return this.#link;
  }

  /** What calls go over that hold up whatever comes after them. */
  get waiting(): Link {
    this.#waiting ??= this.#open();
    return this.#waiting;
  }

  /** A connection for blocking reads of keys in this key's slot, for one life. @throws UnavailableError */
  async reader(key: string): Promise<Client> {
    const node = await this.#nodeOf(key);
    const redis = node.duplicate(readerOptions(`${this.#name}:reader`));
    keepAlive(redis, this.#keep);
    return new Client(redis);
  }

  /** Ends the blocking read of the connection of this id, at the node of this key. True if there was one. */
  async unblock(key: string, connection: number): Promise<boolean> {
    try {
      return (await (await this.#nodeOf(key)).call("CLIENT", "UNBLOCK", connection)) === 1;
    } catch (error) {
      throw error instanceof MillraceError ? error : classify("CLIENT", error);
    }
  }

  /** The one connection that hears what is published, from the first call on. */
  subscriber(): Subscriber {
    const connectionName = `${this.#name}:subscriber`;
    this.#subscriber ??= new Subscriber(
      (options) => this.#anyNode().duplicate({ ...options, connectionName }),
      this.#keep,
    );
    return this.#subscriber;
  }

  close(): void {
    this.#subscriber?.close();
    this.#waiting?.disconnect();
    this.#link.disconnect();
  }

  async #nodeOf(key: string): Promise<Redis> {
    const link = this.#link;
    if (!(link instanceof Cluster)) return link;
    // A call that goes to the wrong node corrects the map of slots.
    await this.#calls.call("EXISTS", key);
    const slot = this.#slots.get(key) ?? Number(await this.#calls.call("CLUSTER", "KEYSLOT", key));
    this.#slots.set(key, slot);
    const [address] = link.slots[slot] ?? [];
    const node = link.nodes().find(({ options }) => `${options.host}:${options.port}` === address);
    if (node === undefined) throw new UnavailableError("No node of the cluster is known to serve this slot.");
    return node;
  }

  /** What is published anywhere in a cluster is heard at each of its nodes. */
  #anyNode(): Redis {
    const link = this.#link;
    if (!(link instanceof Cluster)) return link;
    const nodes = link.nodes("master");
    const node = nodes[Math.floor(Math.random() * nodes.length)] ?? link.nodes()[0];
    if (node === undefined) throw new UnavailableError("No node of the cluster is known.");
    return node;
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

function openCluster({ host, port, ...options }: RedisOptions, name: string): Cluster {
  const node = { host: host ?? "localhost", port: port ?? 6379 };
  const { retryStrategy: _, ...redisOptions } = { ...options, ...callOptions(name) };
  return new Cluster([node], {
    redisOptions,
    // A certificate is of names, and workerd resolves them itself.
    dnsLookup: (address, done) => done(null, address),
    enableAutoPipelining: false,
    clusterRetryStrategy: (times) => pauseMs(times, RECONNECT_FROM_MS, RECONNECT_TO_MS),
  });
}
