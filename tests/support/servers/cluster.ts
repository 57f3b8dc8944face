import type { Redis } from "ioredis";
import { vi } from "vitest";
import { rawRedis } from "../redis.ts";
import { type RestartableRedis, restartableRedis } from "../restartable-redis.ts";
import type { Certificates } from "./certificates.ts";
import { serverPort } from "./ports.ts";
import { moveSlot } from "./slots.ts";
import { tlsArgs } from "./tls.ts";

export interface ClusterNode {
  readonly id: string;
  readonly url: string;
  /** By which the others know it: with TLS, the port for that. */
  readonly port: number;
  /** Where it speaks TLS, if it does: `rediss://localhost:PORT`. It tells others its address, which no certificate names. */
  readonly tlsUrl: string | undefined;
  readonly server: RestartableRedis;
  /** A client to this node alone. */
  readonly client: Redis;
}

export interface Cluster extends AsyncDisposable {
  /** Of its first node: clients find the others. */
  readonly url: string;
  readonly nodes: readonly ClusterNode[];
  masters(): Promise<ClusterNode[]>;
  /** Who has a key. */
  masterOf(key: string): Promise<ClusterNode>;
  masterOfSlot(slot: number): Promise<ClusterNode>;
  replicasOf(master: ClusterNode): Promise<ClusterNode[]>;
  /** A planned failover: nothing is lost. Resolves with the new master, once all nodes agree. */
  failover(master: ClusterNode): Promise<ClusterNode>;
  /** Kills a master and has its replica take over. Resolves with the new master, once all that live agree. */
  crash(master: ClusterNode): Promise<ClusterNode>;
  /** Starts a node again that was killed. Resolves once it follows its master, and all agree on that. */
  revive(node: ClusterNode): Promise<void>;
  /** Moves a slot and its keys to another master while it is served, as resharding does. */
  moveSlot(slot: number, to: ClusterNode): Promise<void>;
}

const SLOTS = 16_384;
const MASTERS = 3;
/** How long a node may be silent before the others take it for dead. */
const NODE_TIMEOUT_MS = 2_000;
/** A node that is elected again sooner counts the votes of the last time, and takes over with an epoch that the others refuse. */
const ELECTED_AGAIN_AFTER_MS = 4 * NODE_TIMEOUT_MS + 500;

export interface ClusterOptions {
  /** More settings of every node. */
  args?: readonly string[];
  /** With these every node speaks TLS too, at a port of its own. */
  certificates?: Certificates;
}

/** Three masters with a replica each, on this machine. Takes three seconds to make. For `await using`. */
export async function cluster(options: ClusterOptions = {}): Promise<Cluster> {
  const nodes = await startNodes(options);
  const down = new Set<ClusterNode>();
  const electedAt = new Map<ClusterNode, number>();
  const alive = () => nodes.filter((node) => !down.has(node));
  const dispose = () => Promise.all(nodes.map(({ server }) => server[Symbol.asyncDispose]()));
  const byId = (id: string) => nodes.find((node) => node.id === id)!;
  const until = (what: string, met: (node: ClusterNode, table: NodeRow[]) => boolean, of = alive) =>
    eventually(what, async () => {
      for (const node of of()) if (!met(node, await tableOf(node))) return false;
      return true;
    });
  const isMaster = (table: NodeRow[], { id }: ClusterNode) =>
    table.some((row) => row.id === id && row.flags.includes("master") && row.slots > 0);
  /** Everyone knows it as a master, and everything is served. */
  const agreed = async (master: ClusterNode) => {
    try {
      await until("a new master", (_, table) => isMaster(table, master));
    } catch (error) {
      const tables = await Promise.all(
        alive().map(async ({ port, client }) => `${port}:\n${await client.call("CLUSTER", "NODES")}`),
      );
      throw new Error(`Port ${master.port} is no master for all. ${tables.join("\n")}`, { cause: error });
    }
    await eventually("the cluster to be whole", () => isWhole(alive()));
  };

  const made: Cluster = {
    ...{ url: nodes[0]!.url, nodes },
    async masters() {
      const table = await tableOf(alive()[0]!);
      return alive().filter((node) => isMaster(table, node));
    },
    async masterOf(key) {
      const [any] = alive();
      return made.masterOfSlot(Number(await any!.client.call("CLUSTER", "KEYSLOT", key)));
    },
    async masterOfSlot(slot) {
      const [any] = alive();
      const ranges = (await any!.client.call("CLUSTER", "SLOTS")) as [number, number, [string, number, string]][];
      return byId(ranges.find(([from, to]) => from <= slot && slot <= to)![2][2]);
    },
    async replicasOf(master) {
      const table = await tableOf(alive()[0]!);
      const ids = table.filter((row) => row.master === master.id).map(({ id }) => id);
      return alive().filter(({ id }) => ids.includes(id));
    },
    async failover(master) {
      const [replica] = await made.replicasOf(master);
      const restMs = (electedAt.get(replica!) ?? 0) + ELECTED_AGAIN_AFTER_MS - Date.now();
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, restMs)));
      // A replica gives a planned failover up after 5 s.
      for (let tries = 1; !isMaster(await tableOf(replica!), replica!); tries += 1) {
        await replica!.client.call("CLUSTER", "FAILOVER");
        const over = async () => isMaster(await tableOf(replica!), replica!);
        await eventually("a planned failover", over, 6_000).catch((error) => {
          if (tries === 3) throw error;
        });
      }
      electedAt.set(replica!, Date.now());
      await agreed(replica!);
      await until("its replica", (_, table) => table.some((row) => row.id === master.id && row.master === replica!.id));
      return replica!;
    },
    async crash(master) {
      const [replica] = await made.replicasOf(master);
      down.add(master);
      await master.server.kill();
      // Without waiting for the others to find out and to vote.
      await replica!.client.call("CLUSTER", "FAILOVER", "TAKEOVER");
      await agreed(replica!);
      return replica!;
    },
    async revive(node) {
      await node.server.start();
      Object.assign(node, { client: rawRedis(node.url) });
      down.delete(node);
      const follows = (table: NodeRow[]) => table.some(({ id, master }) => id === node.id && master !== "-");
      await until("a node that is back", (_, table) => follows(table));
      await eventually("the cluster to be whole", () => isWhole(alive()));
    },
    moveSlot: async (slot, to) => moveSlot(await made.masters(), slot, to),
    [Symbol.asyncDispose]: async () => void (await dispose()),
  };

  try {
    const masters = nodes.slice(0, MASTERS);
    for (const [i, { client }] of masters.entries()) {
      const range = [Math.floor((i * SLOTS) / MASTERS), Math.floor(((i + 1) * SLOTS) / MASTERS) - 1];
      await client.call("CLUSTER", "ADDSLOTSRANGE", ...range);
    }
    for (const [i, node] of nodes.entries()) {
      await node.client.call("CLUSTER", "SET-CONFIG-EPOCH", i + 1);
      if (i > 0) await nodes[0]!.client.call("CLUSTER", "MEET", "127.0.0.1", node.port);
    }
    await until("nodes to know each other", (_, table) => table.filter((row) => row.linked).length === nodes.length);
    for (const [i, { id }] of masters.entries()) await nodes[MASTERS + i]!.client.call("CLUSTER", "REPLICATE", id);
    await until("replicas", (_, table) => table.filter((row) => row.master !== "-").length === MASTERS);
    await eventually("the cluster to be whole", () => isWhole(nodes));
  } catch (error) {
    await dispose();
    throw error;
  }
  return made;
}

async function startNodes(options: ClusterOptions): Promise<ClusterNode[]> {
  const started = await Promise.allSettled(Array.from({ length: 2 * MASTERS }, () => startNode(options)));
  const nodes = started.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
  const failed = started.find((each) => each.status === "rejected");
  if (failed === undefined) return nodes;
  await Promise.all(nodes.map(({ server }) => server[Symbol.asyncDispose]()));
  throw failed.reason;
}

async function startNode({ args = [], certificates }: ClusterOptions): Promise<ClusterNode> {
  const tlsPort = await serverPort();
  // With `tls-cluster` nodes tell clients of TLS of their TLS ports, speak it among themselves, and so must replicas.
  const among = ["--tls-cluster", "yes", "--tls-replication", "yes"];
  const tls = certificates === undefined ? [] : [...tlsArgs(tlsPort, certificates), ...among];
  const timeouts = ["--cluster-node-timeout", String(NODE_TIMEOUT_MS), "--repl-diskless-sync-delay", "0"];
  const server = await restartableRedis({ args: ["--cluster-enabled", "yes", ...timeouts, ...tls, ...args] });
  const client = rawRedis(server.url);
  const id = String(await client.call("CLUSTER", "MYID"));
  const own = { id, url: server.url, server, client };
  if (certificates === undefined) return { ...own, port: server.port, tlsUrl: undefined };
  return { ...own, port: tlsPort, tlsUrl: `rediss://localhost:${tlsPort}` };
}

/** Every node serves, and every replica has its master's data. */
async function isWhole(nodes: readonly ClusterNode[]): Promise<boolean> {
  for (const { client } of nodes) {
    if (!String(await client.call("CLUSTER", "INFO")).includes("cluster_state:ok")) return false;
    const replication = await client.info("replication");
    if (replication.includes("role:slave") && !replication.includes("master_link_status:up")) return false;
  }
  return true;
}

interface NodeRow {
  id: string;
  flags: string[];
  master: string;
  linked: boolean;
  /** How many ranges it has. */
  slots: number;
}

/** What a node knows of all nodes. */
async function tableOf({ client }: ClusterNode): Promise<NodeRow[]> {
  const lines = String(await client.call("CLUSTER", "NODES"))
    .trim()
    .split("\n");
  return lines.map((line) => {
    const [id, , flags, master, , , , link, ...slots] = line.split(" ");
    return { id: id!, flags: flags!.split(","), master: master!, linked: link === "connected", slots: slots.length };
  });
}

async function eventually(what: string, met: () => Promise<boolean>, timeout = 20_000): Promise<void> {
  const look = async () => {
    if (!(await met())) throw new Error(`Waited in vain for ${what}.`);
  };
  await vi.waitFor(look, { timeout, interval: 20 });
}
