import { Cluster, type Redis, type RedisOptions } from "ioredis";
import { MillraceError, UnavailableError } from "../errors.ts";
import { parseRedisUrl } from "./address.ts";
import { type Call, Client, classify, type Link, readerOptions } from "./client.ts";
import { type CredentialsProvider, Login } from "./credentials.ts";
import { type KeepAlive, keepAlive } from "./keep-alive.ts";
import { openLink } from "./link.ts";
import { hearErrors } from "./socket-errors.ts";
import { Subscriber } from "./subscriber.ts";

export interface ConnectionsOptions {
  /** How they are kept open while nothing is asked for over them. */
  keep?: KeepAlive | undefined;
  /** Says with what they sign in, instead of what stands in the URL. */
  credentials?: CredentialsProvider | undefined;
  /** A channel of this process alone, by which its subscriber finds out that it hears. Without one it does not look. */
  beatChannel?: string | undefined;
}

/** The connections of one process to one server or cluster: for calls, for blocking reads, and for what is published. */
export class Connections {
  readonly #link: Link;
  readonly #calls: Client;
  readonly #name: string;
  readonly #keep: KeepAlive | undefined;
  readonly #login: Login | undefined;
  readonly #open: (name: string) => Promise<Link>;
  #waiting: Link | undefined;
  /** By key, of which there is one for each partition. */
  readonly #slots = new Map<string, number>();
  readonly #beatChannel: string | undefined;
  #subscriber: Subscriber | undefined;

  private constructor(
    link: Link,
    name: string,
    open: (name: string) => Promise<Link>,
    login: Login | undefined,
    { keep, beatChannel }: ConnectionsOptions,
  ) {
    this.#open = open;
    this.#link = link;
    this.#keep = keep;
    this.#beatChannel = beatChannel;
    this.#login = login;
    this.#calls = new Client(link);
    this.#name = name;
  }

  /**
   * Connects, and finds out whether the server is a node of a cluster.
   *
   * @param url as `parseRedisUrl` takes it
   * @param name what the connections are called at the server
   * @throws MillraceError `bad_redis_url`; UnavailableError
   */
  static async open(url: string, name: string, options: ConnectionsOptions = {}): Promise<Connections> {
    const { keep, credentials } = options;
    const address = parseRedisUrl(url);
    const login = credentials === undefined ? undefined : await Login.open(credentials);
    const opened = (redis: Redis) => {
      hearErrors(redis);
      keepAlive(redis, keep);
      login?.keep(redis);
    };
    try {
      const openNamed = (linkName: string) => openLink(address, { name: linkName, login, opened });
      return new Connections(await openNamed(name), name, openNamed, login, options);
    } catch (error) {
      login?.close();
      throw error;
    }
  }

  /** What calls go over. */
  get link(): Link {
    return this.#link;
  }

  /** What calls go over that hold up whatever comes after them. */
  async waiting(): Promise<Link> {
    this.#waiting ??= await this.#open(`${this.#name}:waiting`);
    return this.#waiting;
  }

  /** A connection for blocking reads of keys in this key's slot, for one life. @throws UnavailableError */
  async reader(key: string): Promise<Client> {
    const node = await this.#nodeOf(key);
    const redis = node.duplicate(readerOptions(`${this.#name}:reader`));
    keepAlive(redis, this.#keep);
    this.#login?.keep(redis);
    // What it fails with, the first call fails with too.
    redis.connect().catch(() => {});
    return new Client(redis);
  }

  /** What the node of this key says about itself, as `INFO` does. @throws MillraceError */
  async info(key: string, section: string): Promise<string> {
    if (!(this.#link instanceof Cluster)) return (await this.#calls.call("INFO", section)) as string;
    return (await this.#callAt(key, ["INFO", section])) as string;
  }

  /** Ends the blocking read of the connection of this id, at the node of this key. True if there was one. */
  async unblock(key: string, connection: number): Promise<boolean> {
    return (await this.#callAt(key, ["CLIENT", "UNBLOCK", connection])) === 1;
  }

  /** The one connection that hears what is published, from the first call on. */
  subscriber(): Subscriber {
    if (this.#subscriber !== undefined) return this.#subscriber;
    const connectionName = `${this.#name}:subscriber`;
    const channel = this.#beatChannel;
    const publish = (to: string) => this.#calls.call("PUBLISH", to, "");
    const beat = channel === undefined ? undefined : { channel, publish };
    const open = (options: RedisOptions) => {
      const redis = this.#anyNode().duplicate({ ...options, connectionName });
      this.#login?.keep(redis);
      return redis;
    };
    this.#subscriber = new Subscriber(open, this.#keep, beat);
    return this.#subscriber;
  }

  close(): void {
    this.#login?.close();
    this.#subscriber?.close();
    this.#waiting?.disconnect();
    this.#link.disconnect();
  }

  /** Makes a call without a key at the node of this one. @throws MillraceError */
  async #callAt(key: string, [name, ...args]: Call): Promise<unknown> {
    try {
      return await (await this.#nodeOf(key)).call(name, ...args);
    } catch (error) {
      throw error instanceof MillraceError ? error : classify(name, error);
    }
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
