import { any } from "valibot";
import { expect, test } from "vitest";
import { workflow } from "../../engine/index.ts";
import { Client, openForCalls } from "../../engine/redis/client.ts";
import { engineUnderTest } from "../support/engine-under-test.ts";
import { chain } from "../support/faults/callers.ts";
import { sized, TIMEOUT_MS } from "../support/faults/settings.ts";
import { Gates } from "../support/gates.ts";
import { restartableRedis } from "../support/restartable-redis.ts";
import { serverPort } from "../support/servers/ports.ts";
import { sentinel } from "../support/servers/sentinel.ts";

const RUNS = 5;

test(
  "runs go on at the primary that sentinels name, and at the next one after a failover",
  async () => {
    await using servers = await sentinel();
    const gates = new Gates();
    const waiting = workflow("waiting", { input: any() })
      .step("wait", (name: string, ctx) => gates.pass(name, ctx.signal))
      .step("end", () => "ended");
    // The first sentinel is one that is not there.
    const url = servers.url.replace(servers.address, `127.0.0.1:${await serverPort()},${servers.address}`);
    await using engine = await engineUnderTest([chain, waiting], { url });
    await engine.worker({ leaseMs: 1_500 });
    for (let round = 0; round < sized(1, 10); round += 1) {
      const runs: string[] = [];
      for (let n = 0; n < RUNS; n += 1) {
        const { id } = await engine.millrace.runs.start(waiting, `${round}/${n}`);
        await engine.until(id, ({ type }) => type === "step.started");
        runs.push(id);
      }
      const [primary, replica] = [await servers.primaryPort(), servers.other(await servers.primaryPort())];
      await servers.inStep();
      await servers.failover();
      expect([primary, await servers.primaryPort()]).toEqual([primary, replica]);
      for (let n = 0; n < RUNS; n += 1) gates.open(`${round}/${n}`);
      for (const id of runs) expect(await engine.ended(id)).toMatchObject({ output: "ended" });
      expect(await engine.run(chain, { n: 1 })).toMatchObject({ output: 4 });
    }
  },
  TIMEOUT_MS,
);

test("a name that sentinels do not know is an error that says so", async () => {
  await using servers = await sentinel();
  const unknown = engineUnderTest([chain], { url: servers.url.replace("/main", "/other") });
  await expect(unknown).rejects.toThrow(/^Redis .*is not available: /);
});

test("of several servers the primary is used, whichever it is, and one that is not there is passed over", async () => {
  await using servers = await sentinel();
  const { primary, replica } = servers.servers;
  const all = [await serverPort(), replica.port, primary.port].map((port) => `127.0.0.1:${port}`);
  await using engine = await engineUnderTest([chain], { url: `redis://${all.join(",")}` });
  await engine.worker();
  expect(await engine.run(chain, { n: 1 })).toMatchObject({ output: 4 });
  await expect(engineUnderTest([chain], { url: `redis://${all[0]},${all[0]}` })).rejects.toThrow(/is not available/);
});

test("a connection to a server that has become a replica is opened anew, to where its name leads by then", async () => {
  await using redis = await restartableRedis({ appendOnly: false });
  const client = new Client(openForCalls(redis.url, "demoted"));
  const before = await client.call("CLIENT", "ID");
  await client.call("REPLICAOF", "127.0.0.1", await serverPort());
  await expect(client.call("SET", "a", "1")).rejects.toThrow("READONLY");
  expect(await client.call("CLIENT", "ID")).not.toBe(before);
  client.close();
});
