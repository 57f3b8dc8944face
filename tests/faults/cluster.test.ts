import * as v from "valibot";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { workflow } from "../../engine/index.ts";
import { NamespaceKeys } from "../../engine/keys.ts";
import { type Call, Client } from "../../engine/redis/client.ts";
import { Connections } from "../../engine/redis/connections.ts";
import { engineUnderTest } from "../support/engine-under-test.ts";
import { sized } from "../support/faults/settings.ts";
import { type Cluster, cluster } from "../support/servers/cluster.ts";

const input = v.object({ n: v.number() });
const chain = workflow("chain", { input })
  .step("one", ({ n }) => ({ n: n + 1 }))
  .step("two", ({ n }) => ({ n: 2 * n }))
  .step("three", ({ n }) => n);

/** Half of its runs are in one partition. */
const uneven = workflow("uneven", { input, partitionBy: ({ n }) => (n % 2 === 0 ? "hot" : String(n)) })
  .step("one", ({ n }) => ({ n: n + 1 }))
  .step("two", ({ n }) => ({ n: 2 * n }))
  .step("three", ({ n }) => n);

let servers: Cluster;
beforeAll(async () => {
  servers = await cluster();
}, 60_000);
afterAll(() => servers[Symbol.asyncDispose]());

describe("a cluster of three masters and three replicas", () => {
  test("has 16 partitions on all masters; runs complete in each, and are watched from any", async () => {
    await using engine = await engineUnderTest([chain], { url: servers.url });
    await engine.worker();
    const runs = await Promise.all(
      Array.from({ length: 100 }, (_, n) =>
        engine.millrace.runs.start(chain, { n }, { priority: n % 3 === 0 ? "high" : "normal" }),
      ),
    );
    for (const [n, { id }] of runs.entries()) expect(await engine.ended(id)).toMatchObject({ output: 2 * (n + 1) });
    const keys = new NamespaceKeys(engine.namespace);
    const masters = new Set(
      await Promise.all(Array.from({ length: 16 }, (_, p) => servers.masterOf(keys.partition(p).timers()))),
    );
    expect(masters.size).toBe(3);
    const page = await engine.millrace.runs.list({ workflow: "chain", limit: 100 });
    expect(new Set(page.data.map(({ id }) => id))).toEqual(new Set(runs.map(({ id }) => id)));
  });

  test("the busiest slot moves while it is worked on, and scripts are forgotten: nothing is lost or misled", async () => {
    await using engine = await engineUnderTest([uneven], { url: servers.url });
    await engine.worker();
    const keys = new NamespaceKeys(engine.namespace);
    const partitions = Array.from({ length: 16 }, (_, p) => keys.partition(p).timers());
    const started: string[] = [];
    let isMoving = true;
    const start = async () => {
      while (isMoving || started.length < 40) {
        const at = started.push("") - 1;
        started[at] = (await engine.millrace.runs.start(uneven, { n: at })).id;
      }
    };
    const forget = async () => {
      while (isMoving) for (const { client } of await servers.masters()) await client.script("FLUSH");
    };
    const connections = await Connections.open(servers.url, "crossing");
    const client = new Client(connections.link);
    const names = partitions.map((key) => `${key}:name`);
    for (const name of names) await client.call("SET", name, name);
    const crossed = { before: 0, meanwhile: 0 };
    let when: keyof typeof crossed = "before";
    /** Each reply is that of its own call, whichever node has the key by then. */
    const cross = async () => {
      while (isMoving) {
        expect(await client.pipeline(names.map((name): Call => ["GET", name]))).toEqual(names);
        crossed[when] += 1;
      }
    };
    const list = async () => {
      while (isMoving)
        for (const { workflow } of (await engine.millrace.runs.list({ limit: 50 })).data)
          expect(workflow).toBe("uneven");
    };
    const load = Promise.all([start(), start(), start(), forget(), cross(), cross(), list()]);
    await expect.poll(() => started.length, { timeout: 20_000 }).toBeGreaterThan(60);
    const held = await Promise.all(
      partitions.map(async (key) => {
        const { client: node } = await servers.masterOf(key);
        const slot = Number(await node.call("CLUSTER", "KEYSLOT", key));
        return { key, slot, count: Number(await node.call("CLUSTER", "COUNTKEYSINSLOT", slot)) };
      }),
    );
    const [busiest, next] = held.sort((a, b) => b.count - a.count);
    expect(busiest!.count).toBeGreaterThan(2 * next!.count);
    const { key, slot } = busiest!;
    const masters = await servers.masters();
    let owner = await servers.masterOf(key);
    when = "meanwhile";
    do {
      owner = masters.find((node) => node !== owner)!;
      await servers.moveSlot(slot, owner);
    } while (crossed.meanwhile < sized(20, 500));
    isMoving = false;
    await load;
    connections.close();
    expect(crossed.before).toBeGreaterThan(0);
    expect((await servers.masterOf(key)).id).toBe(owner.id);
    for (const [n, id] of started.entries()) expect(await engine.ended(id)).toMatchObject({ output: 2 * (n + 1) });
  });

  test("a slot that is half way to another node is read as a whole", async () => {
    await using engine = await engineUnderTest([chain], { url: servers.url, partitions: 1 });
    const { runs } = engine.millrace;
    const ids: string[] = [];
    for (let n = 0; n < 4; n += 1) ids.push((await runs.start(chain, { n })).id);
    const keys = new NamespaceKeys(engine.namespace).partition(0);
    const from = await servers.masterOf(keys.timers());
    const to = (await servers.masters()).find((node) => node !== from)!;
    const slot = Number(await from.client.call("CLUSTER", "KEYSLOT", keys.timers()));
    // None of it by a script: of a slot on the move, those are refused that use what has gone and what has not.
    const shown = async () => {
      const queues = (await engine.millrace.queues()).map(({ step, depth }) => [step, depth]);
      return [await runs.list({ workflow: "chain" }), queues];
    };
    const before = await shown();
    await to.client.call("CLUSTER", "SETSLOT", slot, "IMPORTING", from.id);
    await from.client.call("CLUSTER", "SETSLOT", slot, "MIGRATING", to.id);
    const gone = [keys.run(ids[0]!), keys.log(ids[1]!), keys.step(chain.graph, "one"), keys.run(ids[2]!)];
    await from.client.call("MIGRATE", "127.0.0.1", to.port, "", 0, 5_000, "KEYS", ...gone);
    expect(await shown()).toEqual(before);
    await servers.moveSlot(slot, to);
    expect(await shown()).toEqual(before);
  });

  test("a planned failover, and the crash of a master, are survived", async () => {
    await using engine = await engineUnderTest([chain], { url: servers.url });
    await engine.worker({ leaseMs: 2_000 });
    const wave = async (from: number) => {
      const runs: [number, string][] = [];
      for (let n = from; n < from + 30; n += 1) runs.push([n, (await engine.millrace.runs.start(chain, { n })).id]);
      return runs;
    };
    const before = await wave(0);
    const [master] = await servers.masters();
    await servers.failover(master!);
    const during = await wave(100);
    for (const [n, id] of [...before, ...during]) expect(await engine.ended(id)).toMatchObject({ output: 2 * (n + 1) });
    const dead = (await servers.masters())[0]!;
    await servers.crash(dead);
    for (const [n, id] of await wave(200)) expect(await engine.ended(id)).toMatchObject({ output: 2 * (n + 1) });
    await servers.revive(dead);
  });
});
