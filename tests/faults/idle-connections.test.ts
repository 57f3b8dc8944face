import { expect, test } from "vitest";
import { Connections } from "../../engine/redis/connections.ts";
import { PING_EVERY_MS } from "../../engine/redis/keep-alive.ts";
import { openFleet } from "../support/fleet.ts";
import { chain } from "../support/programs/fleet-workflows.ts";
import { openProxy } from "../support/proxy.ts";
import { rawRedis } from "../support/redis.ts";
import { tlsRedis } from "../support/servers/tls.ts";

/** In place of the ten minutes of the strictest load balancer that is known, and of the engine's one. */
const SILENCE_MS = 2_000;
const keep = { pingEveryMs: SILENCE_MS / 8 };

test("a connection is pinged often enough for load balancers that cut silent ones after some minutes", () => {
  expect(PING_EVERY_MS).toBeLessThanOrEqual(60_000);
});

test("connections for calls, for reading and for hearing channels are not cut though nothing is asked for over them", async () => {
  await using proxy = await openProxy();
  await using other = await openProxy();
  const connections = await Connections.open(proxy.url, "idle", { keep });
  const reader = await connections.reader("any");
  connections.subscriber();
  await proxy.until(({ open }) => open === 3);
  for (const each of [proxy, other]) each.cutAfterSilence(SILENCE_MS);
  // Those that say nothing are cut meanwhile, one after the other.
  for (let silent = 1; silent <= 2; silent += 1) {
    await rawRedis(other.url).ping();
    await other.until(({ silenced }) => silenced === silent);
  }
  expect([proxy.connections, proxy.open, proxy.silenced]).toEqual([3, 3, 0]);
  reader.close();
  connections.close();
});

test("over TLS a worker does its work if it knows the authority, and does not speak to a server that it cannot verify", async () => {
  await using redis = await tlsRedis();
  const knowing = { NODE_EXTRA_CA_CERTS: redis.certificates.ca };
  await using fleet = await openFleet(redis.plainUrl, { workersUrl: redis.url, env: knowing });
  const worker = await fleet.start();
  const { id } = await fleet.millrace.runs.start(chain, { ms: 0 });
  expect(await fleet.ended(id)).toMatchObject({ status: "completed", output: { pid: worker.pid } });

  const elsewhere = redis.url.replace("localhost", "127.0.0.1");
  const refused = async (workersUrl: string, env: Record<string, string>) => {
    await using strangers = await openFleet(redis.plainUrl, { workersUrl, env });
    return await strangers.start().catch(String);
  };
  const [unknown, misnamed] = await Promise.all([refused(redis.url, {}), refused(elsewhere, knowing)]);
  expect(unknown).toMatch(/unable to verify|self-signed/);
  expect(misnamed).toMatch(/does not match certificate/);
});
