import { configure, reset } from "@logtape/logtape";
import type { Redis } from "ioredis";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { digestOf } from "../../../engine/access/secrets.ts";
import type { KeyEnd, KeyWithSecret, Millrace, VerifiedKey } from "../../../engine/index.ts";
import { NamespaceKeys } from "../../../engine/keys.ts";
import { type EngineUnderTest, engineUnderTest } from "../../support/engine-under-test.ts";
import { openProxy } from "../../support/proxy.ts";
import { freshNamespace, isCluster, rawRedis } from "../../support/redis.ts";
import { serversOf } from "../../support/redis-client.ts";
import { stateOf } from "../../support/state.ts";

let namespace: string;
let engines: EngineUnderTest[];
let ann: Millrace;
let bob: Millrace;
beforeEach(async () => {
  namespace = freshNamespace();
  engines = [await engineUnderTest([], { namespace }), await engineUnderTest([], { namespace })];
  [ann, bob] = engines.map(({ millrace }) => millrace) as [Millrace, Millrace];
});
afterEach(() => Promise.all(engines.map((engine) => engine[Symbol.asyncDispose]())));

const plain = { name: "ci", tenant: "acme", scopes: ["runs:read", "runs:write"] } as const;
const make = (more: object = {}) => ann.access.keys.create({ ...plain, ...more });
const verify = (of: Millrace, { secret }: { secret: string }) => of.access.keys.verify(secret);
const keys = () => new NamespaceKeys(namespace).partition(0);

/** Resolves with why it came to an end. */
const ended = (of: Millrace, key: VerifiedKey) =>
  new Promise<KeyEnd>((resolve) => void of.access.keys.onEnd(key, resolve));

/** Has a process know a key, and hear of what becomes of it. */
async function known(of: Millrace, key: KeyWithSecret): Promise<VerifiedKey> {
  const verified = (await verify(of, key))!;
  // Of a cluster any node may be the one that the process hears it from.
  const servers = await serversOf(rawRedis(), "all");
  const heardBy = async (server: Redis) =>
    ((await server.call("PUBSUB", "NUMSUB", keys().access())) as [string, number])[1];
  await vi.waitUntil(async () => (await Promise.all(servers.map(heardBy))).some((count) => count > 0), 10_000);
  return verified;
}

describe("a key", () => {
  test("is what was asked for, works in every process, and nothing but its secret does", async () => {
    const limits = { rateLimit: { requests: 5, windowMs: 1_000 }, quota: { runsPerDay: 7 } };
    const made = await make(limits);
    const { secret, ...shown } = made;
    expect(shown).toEqual({
      ...{ id: expect.stringMatching(/^[0-9a-f]{32}$/), tenant: "acme", name: "ci", status: "active" },
      ...{ scopes: ["runs:read", "runs:write"], createdAt: expect.any(String), ...limits },
    });
    const { id, tenant, name, scopes } = shown;
    for (const of of [ann, bob])
      expect(await verify(of, made)).toEqual({ id, tenant, name, scopes, secretNumber: 1, ...limits });
    const other = await make();
    const crossed = secret.slice(0, 36) + other.secret.slice(36);
    const wrong = secret.slice(0, -1) + (secret.endsWith("a") ? "b" : "a");
    for (const text of [crossed, wrong, id, "", `${secret} `, `Bearer ${secret}`, secret.toUpperCase()])
      expect(await ann.access.keys.verify(text), text).toBeUndefined();
  });

  test("that is not there does not work, and one that was made a moment ago does", async () => {
    const made = await make();
    await rawRedis().rename(keys().apiKey(made.id), keys().apiKey("aside"));
    expect(await verify(bob, made)).toBeUndefined();
    await rawRedis().rename(keys().apiKey("aside"), keys().apiKey(made.id));
    expect(await verify(bob, made)).toMatchObject({ id: made.id });
  });

  test("is listed, newest first, by page and by tenant", async () => {
    const made: string[] = [];
    for (let i = 0; i < 5; i += 1) made.unshift((await make({ name: `n${i}` })).id);
    const other = await make({ tenant: "other" });
    const first = await ann.access.keys.list({ tenant: "acme", limit: 3 });
    const second = await ann.access.keys.list({ tenant: "acme", limit: 3, cursor: first.next! });
    expect([...first.data, ...second.data].map(({ id }) => id).sort()).toEqual([...made].sort());
    expect(second.next).toBeUndefined();
    const all = await bob.access.keys.list();
    expect(all.data.map(({ id }) => id)).toContain(other.id);
    expect(all.data).toHaveLength(6);
    expect(JSON.stringify(all)).not.toMatch(/mr_|digest/i);
    expect(await bob.access.keys.list({ tenant: "none" })).toEqual({ data: [] });
    await expect(bob.access.keys.list({ limit: 101 })).rejects.toMatchObject({ code: "invalid_input" });
  });

  test("is another tenant's for nobody", async () => {
    const { id } = await make();
    const own = await ann.access.keys.get(id, { tenant: "acme" });
    expect(await ann.access.keys.get(id)).toEqual(own);
    const { get, rotate, revoke } = ann.access.keys;
    for (const act of [get, rotate, revoke])
      await expect(act.call(ann.access.keys, id, { tenant: "other" })).rejects.toMatchObject({ code: "not_found" });
    expect(await ann.access.keys.get(id)).toEqual(own);
    await expect(ann.access.keys.get("x")).rejects.toMatchObject({ code: "not_found" });
  });

  test("works until it expires", async () => {
    const soon = new Date(Date.now() + 1_500);
    const made = await make({ expiresAt: soon });
    const verified = await known(bob, made);
    expect(verified.endsAt).toBe(soon.toISOString());
    expect(await ended(bob, verified)).toBe("expired");
    expect(await verify(bob, made)).toBeUndefined();
    expect(await ann.access.keys.get(made.id)).toMatchObject({ status: "expired" });
    await expect(ann.access.keys.rotate(made.id)).rejects.toMatchObject({ code: "key_ended" });
    await expect(make({ expiresAt: new Date(Date.now() - 1_000) })).rejects.toMatchObject({ code: "invalid_input" });
  });

  test("says when it was last used", async () => {
    const made = await make();
    await Promise.all(Array.from({ length: 50 }, () => verify(bob, made)));
    await expect.poll(() => ann.access.keys.get(made.id)).toMatchObject({ lastUsedAt: expect.any(String) });
  });
});

describe("a key that is revoked", () => {
  test("stops at once where that is heard, and whoever holds on to it is told once", async () => {
    const made = await make();
    const verified = await known(bob, made);
    const told: KeyEnd[] = [];
    const first = ended(bob, verified);
    bob.access.keys.onEnd(verified, (why) => told.push(why));
    const left = bob.access.keys.onEnd(verified, () => told.push("expired"));
    left();
    const view = await ann.access.keys.revoke(made.id);
    expect(view).toMatchObject({ status: "revoked", revokedAt: expect.any(String) });
    expect(await verify(ann, made)).toBeUndefined();
    expect(await first).toBe("revoked");
    expect(await verify(bob, made)).toBeUndefined();
    expect(await ann.access.keys.revoke(made.id)).toEqual(view);
    await expect(ann.access.keys.rotate(made.id)).rejects.toMatchObject({ code: "key_ended" });
    expect(told).toEqual(["revoked"]);
  });

  test("stops within 10 s where nothing is heard of it", async () => {
    const made = await make();
    const verified = await known(bob, made);
    const end = ended(bob, verified);
    // As the script does, but for the word that it sends.
    await rawRedis().multi().hdel(keys().apiKey(made.id), "digest").hset(keys().apiKey(made.id), "revokedAt", 1).exec();
    await expect.poll(() => verify(bob, made), { timeout: 10_000 }).toBeUndefined();
    expect(await end).toBe("revoked");
  });

  test("stops when a subscription that was cut is back", async () => {
    await using proxy = await openProxy();
    await using behind = await engineUnderTest([], { namespace, url: proxy.url });
    const made = await make();
    const verified = await known(behind.millrace, made);
    const end = ended(behind.millrace, verified);
    proxy.cut();
    await ann.access.keys.revoke(made.id);
    await expect.poll(() => verify(behind.millrace, made).catch(() => "away"), { timeout: 10_000 }).toBeUndefined();
    expect(await end).toBe("revoked");
  });
});

describe("a key that is rotated", () => {
  test("works with both secrets until the overlap ends", async () => {
    const made = await make();
    const old = await known(bob, made);
    const rotated = await ann.access.keys.rotate(made.id, { overlapMs: 2_000 });
    expect(rotated.secret).not.toBe(made.secret);
    expect(rotated).toMatchObject({ id: made.id, status: "active", previousUntil: expect.any(String) });
    expect(await verify(bob, rotated)).toEqual({ ...old, secretNumber: 2 });
    const overlapping = (await verify(bob, made))!;
    expect(overlapping).toEqual({ ...old, endsAt: rotated.previousUntil });
    expect(await ended(bob, overlapping)).toBe("rotated");
    expect(await verify(bob, made)).toBeUndefined();
    expect(await verify(bob, rotated)).toMatchObject({ secretNumber: 2 });
  });

  test("without an overlap tells who holds on to the old secret, and nobody else", async () => {
    const made = await make();
    const old = ended(bob, await known(bob, made));
    const rotated = await ann.access.keys.rotate(made.id, { overlapMs: 0 });
    expect(await old).toBe("rotated");
    const told: KeyEnd[] = [];
    bob.access.keys.onEnd((await verify(bob, rotated))!, (why) => told.push(why));
    const again = await ann.access.keys.rotate(made.id);
    expect(await verify(ann, made)).toBeUndefined();
    expect(await verify(bob, again)).toMatchObject({ secretNumber: 3 });
    expect(told).toEqual([]);
  });

  test("works with the new secret where that was not heard of yet", async () => {
    const made = await make();
    await known(bob, made);
    const secret = `${made.secret.slice(0, -4)}${made.secret.endsWith("2222") ? "3333" : "2222"}`;
    // As the script does, but for the word that it sends.
    await rawRedis().hset(keys().apiKey(made.id), { digest: await digestOf(secret), secretNumber: 2 });
    expect(await bob.access.keys.verify(secret)).toMatchObject({ id: made.id, secretNumber: 2 });
    expect(await verify(bob, made)).toBeUndefined();
  });

  test("may be given another end", async () => {
    const expiresAt = new Date(Date.now() + 60_000);
    const made = await make();
    const rotated = await ann.access.keys.rotate(made.id, { expiresAt });
    expect(rotated.expiresAt).toBe(expiresAt.toISOString());
    expect((await verify(bob, rotated))!.endsAt).toBe(expiresAt.toISOString());
    for (const options of [{ overlapMs: -1 }, { overlapMs: 1.5 }, { expiresAt: new Date(0) }])
      await expect(ann.access.keys.rotate(made.id, options)).rejects.toMatchObject({ code: "invalid_input" });
  });
});

// Past the proxy, a cluster's nodes are reached all the same.
test.skipIf(isCluster)("a Redis that is away lets nobody in", async () => {
  await using proxy = await openProxy();
  await using behind = await engineUnderTest([], { namespace, url: proxy.url });
  const made = await make();
  proxy.set("black-hole");
  await expect(verify(behind.millrace, made)).rejects.toMatchObject({ code: "unavailable" });
});

// A cluster's servers are each listened to apart.
test.skipIf(isCluster)("a secret is in no place of Redis, in no command to it, and in no log", async () => {
  const logged: string[] = [];
  await configure({
    sinks: { kept: (record) => void logged.push(JSON.stringify([record.message, record.properties])) },
    loggers: [
      { category: "millrace", lowestLevel: "trace", sinks: ["kept"] },
      { category: ["logtape", "meta"], sinks: [] },
    ],
  });
  const sent: string[] = [];
  const redis = rawRedis();
  const monitor = await redis.monitor();
  monitor.on("monitor", (_time: string, args: string[]) => sent.push(args.join(" ")));
  try {
    const made = await make();
    await verify(bob, made);
    const rotated = await ann.access.keys.rotate(made.id);
    for (const key of [made, rotated]) await verify(bob, key);
    // What fails says what it failed with.
    await redis.set(keys().apiKey("0".repeat(32)), "not ours");
    const bad = made.secret.replace(made.id, "0".repeat(32));
    await expect(ann.access.keys.verify(bad)).rejects.toThrow();
    const held = JSON.stringify(await stateOf(redis, namespace, {}));
    await ann.access.keys.revoke(made.id);
    await redis.echo("the end");
    await vi.waitUntil(() => sent.some((line) => line.includes("the end")));
    expect(sent.length).toBeGreaterThan(5);
    expect(held).toContain(made.id);
    for (const { secret } of [made, rotated])
      for (const places of [held, sent.join("\n"), logged.join("\n")])
        expect(places).not.toContain(secret.slice(36, 60));
  } finally {
    monitor.disconnect();
    await reset();
  }
});

test("what was connected is let go of", async () => {
  const made = await make();
  const verified = await known(bob, made);
  bob.access.keys.onEnd(verified, () => {});
  await bob.close();
  await expect(bob.access.keys.verify(made.secret)).rejects.toMatchObject({ code: "unavailable" });
});
