import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { CheckedKey } from "../../../engine/access/check.ts";
import { newId } from "../../../engine/ids.ts";
import { ApiKeyStore } from "../../../engine/store/api-key-store.ts";
import { Reply } from "../../../engine/store.ts";
import { rawRedis } from "../../support/redis.ts";
import { changes, type State } from "../../support/state.ts";
import { StoreBench } from "../../support/store.ts";

let bench: StoreBench;
let keys: ApiKeyStore;
const id = newId();
beforeEach(() => {
  bench = new StoreBench();
  keys = new ApiKeyStore(bench.client, bench.keys);
});
afterEach(() => bench.close());

const DUE = 4_000_000_000_000;
const KEPT_MS = 30 * 86_400_000;
const key: CheckedKey = {
  ...{ tenant: "acme", name: "ci", scopes: ["runs:read", "runs:write"], expiresAt: undefined },
  ...{ rateLimit: undefined, quota: undefined },
};
const HASH = {
  createdAt: "T",
  digest: "d1",
  name: "ci",
  scopes: "runs:read runs:write",
  secretNumber: "1",
  tenant: "acme",
};
const which = { id, tenant: "acme" };
const row = `key|acme|${id}`;

const create = (more: Partial<CheckedKey> = {}, digest = "d1", of = id) => keys.create(of, digest, { ...key, ...more });
const rotate = (digest: string, overlapMs = 1_000, expiresAt?: number) =>
  keys.rotate(which, { digest, overlapMs, expiresAt });
const state = () => bench.state({ ID: id });

/** What an action changes, the key's id as ID. */
async function change(act: () => Promise<unknown>) {
  const before = await state();
  const answer = await act();
  return { answer, changed: changes(before, await state()) };
}

/** An action is refused so, and changes nothing. */
async function refused(act: () => Promise<unknown>, code: string) {
  const before = await state();
  await expect(act()).rejects.toMatchObject({ code });
  expect(await state()).toEqual(before);
}

const KEYS: Record<string, () => string> = {
  key: () => bench.keys.apiKey(id),
  all: () => bench.keys.apiKeys(),
  "the tenant's": () => bench.keys.apiKeysOf("acme"),
  timers: () => bench.keys.timers(),
};
async function holdsAnother(name: string): Promise<void> {
  await bench.redis.del(KEYS[name]!());
  await bench.redis.set(KEYS[name]!(), "not ours");
}

const LISTED: State = { "api-keys": { ID: "T" }, "api-keys:acme": { ID: "T" } };

describe("create-key", () => {
  test("one that never ends is stored and listed", async () => {
    const { answer, changed } = await change(create);
    expect(changed).toEqual({ "api-key:ID": HASH, ...LISTED });
    expect(Math.abs((answer as number) - Date.now())).toBeLessThan(5_000);
  });

  test("one with all there is has a row that removes it a month after its end", async () => {
    const limits = { rateLimit: { requests: 10, windowMs: 60_000 }, quota: { runsPerDay: 5 } };
    const { changed } = await change(() => create({ ...limits, expiresAt: DUE }));
    expect(changed).toEqual({
      "api-key:ID": { ...HASH, expiresAt: "T", rateLimit: "10 60000", runsPerDay: "5" },
      ...LISTED,
      timers: { "key|acme|ID": "T" },
    });
    expect(await bench.redis.zscore(bench.keys.timers(), row)).toBe(String(DUE + KEPT_MS));
  });

  test("a repeated call changes nothing", async () => {
    const at = await create();
    expect(await change(create)).toEqual({ answer: at, changed: {} });
  });

  test("an id that is another key's is refused", async () => {
    await create();
    await refused(() => create({}, "d2"), "id_taken");
  });

  test("a tenant's thousand and first is refused; another tenant's is not", async () => {
    await bench.redis.zadd(
      bench.keys.apiKeysOf("acme"),
      ...Array.from({ length: 1_000 }, (_, i) => [i, `k${i}`]).flat(),
    );
    await refused(create, "too_many_keys");
    await create({ tenant: "other" });
  });

  test.each(Object.keys(KEYS))("a key of the wrong type refuses it: %s", async (name) => {
    await holdsAnother(name);
    await refused(create, "wrong_type");
  });
});

describe("rotate-key", () => {
  test("the secret before goes on working for a while", async () => {
    await create();
    const { answer, changed } = await change(() => rotate("d2"));
    const both = { digest: "d2", previousDigest: "d1", previousUntil: "T", rotatedAt: "T", secretNumber: "2" };
    expect(changed).toEqual({ "api-key:ID": { ...HASH, ...both } });
    const [until, at] = await bench.redis.hmget(bench.keys.apiKey(id), "previousUntil", "rotatedAt");
    expect(Number(until) - Number(at)).toBe(1_000);
    expect(answer).toMatchObject({ digest: "d2", secretNumber: 2, previous: { digest: "d1", until: Number(until) } });
  });

  test("without an overlap only the new one works; nor does the one before the last", async () => {
    await create();
    await rotate("d2");
    await rotate("d3");
    expect((await state())["api-key:ID"]).toMatchObject({ digest: "d3", previousDigest: "d2", secretNumber: "3" });
    const { changed } = await change(() => rotate("d4", 0));
    expect(changed).toEqual({ "api-key:ID": { ...HASH, digest: "d4", rotatedAt: "T", secretNumber: "4" } });
  });

  test("it may give the key another end, and its row with that", async () => {
    await create();
    const { changed } = await change(() => rotate("d2", 0, DUE));
    expect(changed).toEqual({
      "api-key:ID": { ...HASH, digest: "d2", rotatedAt: "T", secretNumber: "2", expiresAt: "T" },
      timers: { "key|acme|ID": "T" },
    });
    expect(await bench.redis.zscore(bench.keys.timers(), row)).toBe(String(DUE + KEPT_MS));
  });

  test("a repeated call changes nothing, and is answered the same", async () => {
    await create();
    const first = await rotate("d2");
    expect(await change(() => rotate("d2"))).toEqual({ answer: first, changed: {} });
  });

  test.each([
    ["was revoked", () => keys.revoke(which)],
    ["has expired", () => bench.redis.hset(bench.keys.apiKey(id), "expiresAt", "1000000000000")],
  ])("one that %s is refused", async (_, end) => {
    await create();
    await end();
    await refused(() => rotate("d2"), "key_ended");
  });

  test("one that is not there, or another tenant's, is not found", async () => {
    await refused(() => rotate("d2"), "not_found");
    await create({ tenant: "other" });
    await refused(() => rotate("d2"), "not_found");
  });

  test.each(["key", "timers"])("a key of the wrong type refuses it: %s", async (name) => {
    await create();
    await holdsAnother(name);
    await refused(() => rotate("d2"), "wrong_type");
  });
});

describe("revoke-key", () => {
  test("what is known of its secrets goes; the rest is kept for a month", async () => {
    await create();
    await rotate("d2");
    const { answer, changed } = await change(() => keys.revoke(which));
    const { digest: _, ...rest } = HASH;
    expect(changed).toEqual({
      "api-key:ID": { ...rest, secretNumber: "2", rotatedAt: "T", revokedAt: "T" },
      timers: { "key|acme|ID": "T" },
    });
    const { revokedAt } = answer as { revokedAt: number };
    expect(await bench.redis.zscore(bench.keys.timers(), row)).toBe(String(revokedAt + KEPT_MS));
    expect(answer).toMatchObject({ digest: undefined, previous: undefined });
    expect(await change(() => keys.revoke(which))).toEqual({ answer, changed: {} });
  });

  test("one that is not there, or another tenant's, is not found", async () => {
    await refused(() => keys.revoke(which), "not_found");
    await create({ tenant: "other" });
    await refused(() => keys.revoke(which), "not_found");
  });

  test.each(["key", "timers"])("a key of the wrong type refuses it: %s", async (name) => {
    await create();
    await holdsAnother(name);
    await refused(() => keys.revoke(which), "wrong_type");
  });
});

test("both are told on the channel, with the id alone", async () => {
  const told: string[] = [];
  const last = Promise.withResolvers<void>();
  const listener = rawRedis();
  listener.on("message", (_, text) => {
    if (told.push(text) === 2) last.resolve();
  });
  await listener.subscribe(keys.channel);
  await create();
  await rotate("d2");
  await rotate("d2");
  await keys.revoke(which);
  await last.promise;
  expect(told).toEqual([`key ${id}`, `key ${id}`]);
});

describe("touch-key", () => {
  test("that it was used is noted once a minute", async () => {
    await create();
    expect((await change(() => keys.touch(id))).changed).toEqual({ "api-key:ID": { ...HASH, lastUsedAt: "T" } });
    const field = [bench.keys.apiKey(id), "lastUsedAt"] as const;
    const at = Number(await bench.redis.hget(...field));
    await keys.touch(id);
    expect(Number(await bench.redis.hget(...field))).toBe(at);
    await bench.redis.hset(...field, at - 60_001);
    await keys.touch(id);
    expect(Number(await bench.redis.hget(...field))).toBeGreaterThanOrEqual(at);
  });

  test("of one that is gone nothing is", async () => {
    expect((await change(() => keys.touch(id))).changed).toEqual({});
  });

  test("a key of the wrong type refuses it", async () => {
    await holdsAnother("key");
    await refused(() => keys.touch(id), "wrong_type");
  });
});

describe("the row of a key", () => {
  const rowOf = { kind: "key", ...which } as const;
  const due = () => bench.redis.zadd(bench.keys.timers(), 1, row);

  test("that is due removes all of it, and nothing else", async () => {
    await create();
    await keys.revoke(which);
    await create({}, "d9", newId());
    await due();
    const { answer, changed } = await change(() => bench.timers.promote([rowOf]));
    expect(answer).toEqual([Reply.Done]);
    expect(changed["api-key:ID"]).toBe("gone");
    expect(changed.timers).toBe("gone");
    expect(Object.keys(changed["api-keys"]!)).toHaveLength(1);
    expect(Object.keys(changed["api-keys:acme"]!)).toHaveLength(1);
  });

  test("that is not due yet, since the key was given another end, does nothing", async () => {
    await create({ expiresAt: DUE });
    expect(await change(() => bench.timers.promote([rowOf]))).toEqual({ answer: [Reply.Already], changed: {} });
  });

  test.each(["key", "all", "the tenant's"])("comes again where %s is of the wrong type", async (name) => {
    await create();
    await due();
    await holdsAnother(name);
    const { answer, changed } = await change(() => bench.timers.promote([rowOf]));
    expect(answer).toEqual([Reply.WrongType]);
    expect(changed).toEqual({ timers: { "key|acme|ID": "T" } });
  });
});
