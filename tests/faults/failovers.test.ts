import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { partitionOf } from "../../engine/ids.ts";
import { Connections } from "../../engine/redis/connections.ts";
import { type EngineUnderTest, engineUnderTest } from "../support/engine-under-test.ts";
import { callers, chain } from "../support/faults/callers.ts";
import type { Random } from "../support/faults/random.ts";
import { Schedule } from "../support/faults/schedule.ts";
import { sized, TIMEOUT_MS } from "../support/faults/settings.ts";
import { rawRedis } from "../support/redis.ts";
import { type Cluster, type ClusterNode, cluster } from "../support/servers/cluster.ts";

const PARTITIONS = 6;
/** How soon everything has to be as before once a failover is over. */
const BACK_WITHIN_MS = 10_000;

let servers: Cluster;
beforeAll(async () => {
  servers = await cluster();
});
afterAll(() => servers[Symbol.asyncDispose]());

/** Resolves once a run that was started after this call has completed in each partition. @throws if that takes too long */
async function consuming({ millrace, ended }: EngineUnderTest): Promise<string> {
  const from = performance.now();
  const missing = new Set(Array.from({ length: PARTITIONS }, (_, p) => p));
  const look = async () => {
    while (missing.size > 0) {
      const { id } = await millrace.runs.start(chain, { n: 1 });
      expect(await ended(id)).toMatchObject({ output: 4 });
      missing.delete(partitionOf(id)!);
    }
  };
  await vi.waitFor(look, { timeout: BACK_WITHIN_MS, interval: 20 });
  return `all partitions are read ${Math.round(performance.now() - from)} ms later`;
}

async function underLoad(faults: number, lossy: boolean, inject: (random: Random) => Promise<void>) {
  const schedule = new Schedule(faults);
  await using engine = await engineUnderTest([chain], { url: servers.url, partitions: PARTITIONS });
  await engine.worker({ leaseMs: 1_500 });
  await consuming(engine);
  const fault = {
    name: lossy ? "a master is killed" : "a planned failover",
    async inject(random: Random) {
      await inject(random);
      return consuming(engine);
    },
  };
  const called = await callers(
    engine,
    schedule.run([fault], async () => {}),
    { lossy },
  );
  schedule.complete();
  console.log(`${schedule}\n${JSON.stringify(called)}`);
  return called;
}

test(
  "masters hand over under load, again and again: every partition is read, and no run is lost",
  async () => {
    const { completed } = await underLoad(sized(5, 30), false, async (random) => {
      await servers.failover(random.pick(await servers.masters()));
    });
    expect(completed).toBeGreaterThan(0);
  },
  TIMEOUT_MS,
);

test(
  "masters are killed under load, and come back as replicas: every partition is read, and every run that is left ends",
  async () => {
    const { completed } = await underLoad(sized(3, 30), true, async (random) => {
      const master = random.pick(await servers.masters());
      await servers.crash(master);
      await servers.revive(master);
    });
    expect(completed).toBeGreaterThan(0);
  },
  TIMEOUT_MS,
);

/** The node that hears channels for the connections of this name. */
async function listenedTo(name: string): Promise<ClusterNode> {
  for (const node of servers.nodes)
    if (String(await node.client.client("LIST")).includes(` name=${name}:subscriber `)) return node;
  throw new Error("Nobody listens.");
}

async function masterOf(replica: ClusterNode): Promise<ClusterNode> {
  for (const master of await servers.masters()) if ((await servers.replicasOf(master)).includes(replica)) return master;
  throw new Error("It has no master.");
}

test(
  "what is published is heard through planned failovers, and when the node that is listened to is killed",
  async () => {
    const connections = await Connections.open(servers.url, "hearing");
    let heard = 0;
    let gaps = 0;
    let missed = 0;
    let changed = Promise.withResolvers<void>();
    const listening = connections.subscriber().listen("numbers", {
      message(text) {
        if (Number(text) !== heard + 1) gaps += 1;
        heard = Number(text);
        changed.resolve();
        changed = Promise.withResolvers();
      },
      missed: () => {
        missed += 1;
      },
    });
    await listening.heard;
    let last = 0;
    /** Publishes at a node until something is heard that was said after this call. */
    const again = async () => {
      const since = last;
      const deadline = AbortSignal.timeout(BACK_WITHIN_MS);
      while (heard <= since && !deadline.aborted) {
        const [node] = await servers.masters();
        await rawRedis(node!.url).publish("numbers", String(++last));
        await Promise.race([changed.promise, new Promise((resolve) => setTimeout(resolve, 100))]);
      }
      expect(heard).toBeGreaterThan(since);
    };
    for (let round = 0; round < sized(2, 20); round += 1) {
      await again();
      const masters = await servers.masters();
      await servers.failover(masters[round % masters.length]!);
    }
    await again();
    // Each number that was not heard came while it was told that some may be missed.
    expect(gaps).toBeLessThanOrEqual(missed);
    const node = await listenedTo("hearing");
    // Only masters are killed here.
    if (!(await servers.masters()).includes(node)) await servers.failover(await masterOf(node));
    await servers.crash(node);
    await again();
    expect(missed).toBeGreaterThan(0);
    await servers.revive(node);
    connections.close();
  },
  TIMEOUT_MS,
);

// The last one: the cluster has a node less after it.
test(
  "what is published is heard though the node that is listened to becomes a replica, and then leaves the cluster and lives",
  async () => {
    const connections = await Connections.open(servers.url, "deaf", { beatChannel: "{deaf}:heard:me" });
    const told: string[] = [];
    const missed = () => told.push("missed");
    await connections.subscriber().listen("news", { message: (text) => told.push(text), missed }).heard;
    const node = await listenedTo("deaf");
    if ((await servers.masters()).includes(node)) await servers.failover(node);
    const [master] = await servers.masters();
    await rawRedis(master!.url).publish("news", "from a master");
    await vi.waitFor(() => expect(told).toContain("from a master"));
    told.length = 0;
    const before = await node.client.client("LIST");
    // It forgets the others, and goes on answering; they know it still.
    await node.client.call("CLUSTER", "RESET", "SOFT");
    const connection = (list: unknown) => /id=(\d+) [^\n]* name=deaf:subscriber /.exec(String(list))?.[1];
    expect(connection(await node.client.client("LIST"))).toBe(connection(before));
    await vi.waitFor(() => expect(told).toEqual(["missed"]), { timeout: BACK_WITHIN_MS });
    expect(await listenedTo("deaf")).not.toBe(node);
    await rawRedis(master!.url).publish("news", "again");
    await vi.waitFor(() => expect(told).toEqual(["missed", "again"]));
    connections.close();
  },
  TIMEOUT_MS,
);
