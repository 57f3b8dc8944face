import type { Redis } from "ioredis";
import { expect, test, vi } from "vitest";
import { engineUnderTest } from "../support/engine-under-test.ts";
import { callers, chain } from "../support/faults/callers.ts";
import { sized, TIMEOUT_MS } from "../support/faults/settings.ts";
import { rawRedis } from "../support/redis.ts";
import { aclRedis } from "../support/servers/acl.ts";
import { cluster } from "../support/servers/cluster.ts";
import { Tokens } from "../support/servers/tokens.ts";

/** A namespace's connections by their ids, and as whom each is signed in. */
async function signedIn(servers: readonly Redis[], namespace: string): Promise<Map<string, string>> {
  const users = new Map<string, string>();
  for (const [i, server] of servers.entries())
    for (const line of String(await server.client("LIST")).split("\n")) {
      const field = (name: string) => new RegExp(`(?:^| )${name}=(\\S*)`).exec(line)?.[1] ?? "";
      if (new RegExp(`^millrace:${namespace}(:|$)`).test(field("name")))
        users.set(`${i}/${field("id")}`, field("user"));
    }
  return users;
}

test(
  "tokens end again and again: no connection does, no start of a run fails, and watchers see every event",
  async () => {
    await using redis = await aclRedis();
    const servers = [rawRedis(redis.url)];
    using tokens = new Tokens(servers, 20_000);
    await using engine = await engineUnderTest([chain], { ...redis, credentials: tokens.provider });
    await engine.worker();
    await engine.run(chain, { n: 1 });
    const before = await signedIn(servers, engine.namespace);
    expect([...before.values()]).toEqual(Array(3).fill("token-1"));
    const { completed, refused } = await callers(
      engine,
      tokens.until(({ ended }) => ended === sized(9, 90)),
      { restMs: 50 },
    );
    expect(refused).toBe(0);
    expect(completed).toBeGreaterThan(4);
    const after = await signedIn(servers, engine.namespace);
    expect([...after.keys()]).toEqual([...before.keys()]);
  },
  5 * TIMEOUT_MS,
);

test("when no token is given the last one stays in use, and others are asked for until one is", async () => {
  await using redis = await aclRedis();
  const servers = [rawRedis(redis.url)];
  using tokens = new Tokens(servers, 3_000);
  await using engine = await engineUnderTest([chain], { ...redis, credentials: tokens.provider });
  tokens.failNext(2);
  await tokens.until(({ asked }) => asked === 3);
  await engine.millrace.ping();
  await tokens.until(({ given }) => given === 2);
  expect(tokens.asked).toBe(4);
  await vi.waitFor(async () => expect([...(await signedIn(servers, engine.namespace)).values()]).toEqual(["token-2"]));
});

test("no token to begin with is an error that says so", async () => {
  await using redis = await aclRedis();
  using tokens = new Tokens([], 1_000);
  tokens.failNext(1);
  const refused = engineUnderTest([chain], { ...redis, credentials: tokens.provider });
  await expect(refused).rejects.toThrow("no credentials for Redis: no tokens today");
});

test(
  "a password that changes without notice, and cuts all connections, is asked for: whoever tries again is answered",
  async () => {
    await using redis = await aclRedis();
    let password = "first";
    await redis.set("app", "on", `>${password}`, "~*", "&*", "+@all");
    const credentials = async () => ({ username: "app", password });
    await using engine = await engineUnderTest([chain], { ...redis, credentials });
    await engine.worker();
    const rotate = async () => {
      for (let n = 1; n <= sized(4, 40); n += 1) {
        password = `password-${n}`;
        await redis.rotate("app", password, true);
        for (let i = 0; i < 3; i += 1)
          await vi.waitFor(() => engine.run(chain, { n: 1 }), { timeout: 20_000, interval: 20 });
      }
    };
    const { completed } = await callers(engine, rotate());
    expect(completed).toBeGreaterThan(4);
  },
  TIMEOUT_MS,
);

test("on a cluster every connection to every node signs in again", async () => {
  await using servers = await cluster();
  const clients = servers.nodes.map(({ client }) => client);
  using tokens = new Tokens(clients, 60_000);
  const soon = async () => {
    const given = await tokens.provider();
    return { ...given, expiresAt: new Date(Date.now() + 3_000) };
  };
  await using engine = await engineUnderTest([chain], { url: servers.url, credentials: soon, partitions: 6 });
  await engine.worker();
  const { completed } = await callers(
    engine,
    tokens.until(({ given }) => given === 2),
  );
  expect(completed).toBeGreaterThan(0);
  const before = await signedIn(clients, engine.namespace);
  // Calls to three nodes at least, six readers, a subscriber.
  expect(before.size).toBeGreaterThanOrEqual(10);
  await vi.waitFor(
    async () => {
      const now = await signedIn(clients, engine.namespace);
      expect([...now.keys()]).toEqual([...before.keys()]);
      for (const user of now.values()) expect(user).not.toBe("token-1");
    },
    { timeout: 5_000, interval: 50 },
  );
});
